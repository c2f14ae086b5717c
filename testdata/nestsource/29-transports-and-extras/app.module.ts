import { Module } from '@nestjs/common';
import { TransportsController } from './transports.controller';

@Module({ controllers: [TransportsController] })
export class AppModule {}
