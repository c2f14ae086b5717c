import { Module } from '@nestjs/common';
import { LeafController, OtherController } from './leaf.controller';

@Module({ controllers: [LeafController, OtherController] })
export class AppModule {}
