import { Module } from '@nestjs/common';
import { NamesController } from './names.controller';

@Module({ controllers: [NamesController] })
export class AppModule {}
