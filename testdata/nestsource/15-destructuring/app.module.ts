import { Module } from '@nestjs/common';
import { AllController } from './all.controller';

@Module({ controllers: [AllController] })
export class AppModule {}
