import { Module } from '@nestjs/common';
import { ComposedController } from './composed.controller';

@Module({ controllers: [ComposedController] })
export class AppModule {}
