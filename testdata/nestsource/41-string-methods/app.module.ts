import { Module } from '@nestjs/common';
import { StringsController } from './strings.controller';

@Module({ controllers: [StringsController] })
export class AppModule {}
