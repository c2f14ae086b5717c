import { Module } from '@nestjs/common';
import { JsonController } from './json.controller';

@Module({ controllers: [JsonController] })
export class AppModule {}
