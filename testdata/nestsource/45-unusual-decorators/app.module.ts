import { Module } from '@nestjs/common';
import { AutoController, TracedController } from './unusual.controller';

@Module({ controllers: [AutoController, TracedController] })
export class AppModule {}
