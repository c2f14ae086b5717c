import { Module } from '@nestjs/common';
import { WrappedController } from './wrapped.controller';

@Module({ controllers: [WrappedController] })
export class AppModule {}
