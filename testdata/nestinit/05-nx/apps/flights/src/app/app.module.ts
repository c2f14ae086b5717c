import { Module } from '@nestjs/common';
import { ClientsModule } from '@nestjs/microservices';
import { nats } from '@travel/messages';
import { FlightsController } from './flights.controller';

@Module({
  imports: [ClientsModule.register([{ name: 'NATS', ...nats() }])],
  controllers: [FlightsController],
})
export class AppModule {}
