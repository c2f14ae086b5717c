import { Module } from '@nestjs/common';
import { CompiledController } from './compiled.controller';

@Module({ controllers: [CompiledController] })
export class AppModule {}
