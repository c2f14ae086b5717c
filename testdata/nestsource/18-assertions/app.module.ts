import { Module } from '@nestjs/common';
import { AssertionsController } from './assertions.controller';

@Module({ controllers: [AssertionsController] })
export class AppModule {}
