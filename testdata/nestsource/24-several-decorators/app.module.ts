import { Module } from '@nestjs/common';
import { SeveralController } from './several.controller';

@Module({ controllers: [SeveralController] })
export class AppModule {}
