import { Module } from '@nestjs/common';
import { FrozenController } from './frozen.controller';

@Module({ controllers: [FrozenController] })
export class AppModule {}
