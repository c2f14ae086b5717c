import { Module } from '@nestjs/common';
import { UnknownController } from './unknown.controller';

@Module({ controllers: [UnknownController] })
export class AppModule {}
