import { Module } from '@nestjs/common';
import { ClientsModule } from '@nestjs/microservices';
import { nats } from '@travel/messages';
import { TripsController } from './trips.controller';

@Module({
  imports: [ClientsModule.register([{ name: 'NATS', ...nats() }])],
  controllers: [TripsController],
})
export class AppModule {}
