import { Module } from '@nestjs/common';
import { AliasedController } from './aliased.controller';

@Module({ controllers: [AliasedController] })
export class AppModule {}
