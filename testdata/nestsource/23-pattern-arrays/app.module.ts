import { Module } from '@nestjs/common';
import { ManyController } from './many.controller';

@Module({ controllers: [ManyController] })
export class AppModule {}
