import { Module } from '@nestjs/common';
import { BuiltController } from './built.controller';

@Module({ controllers: [BuiltController] })
export class AppModule {}
