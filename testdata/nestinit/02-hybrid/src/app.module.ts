import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { TicketsController } from './tickets.controller';

@Module({
  imports: [ConfigModule.forRoot({ isGlobal: true })],
  controllers: [TicketsController],
})
export class AppModule {}
