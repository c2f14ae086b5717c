import { Module } from '@nestjs/common';
import { DefaultsController } from './defaults.controller';

@Module({ controllers: [DefaultsController] })
export class AppModule {}
