import { Module } from '@nestjs/common';
import { CircularController } from './circular.controller';

@Module({ controllers: [CircularController] })
export class AppModule {}
