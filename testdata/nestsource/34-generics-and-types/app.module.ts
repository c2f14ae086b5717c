import { Module } from '@nestjs/common';
import { GenericController } from './generic.controller';

@Module({ controllers: [GenericController] })
export class AppModule {}
