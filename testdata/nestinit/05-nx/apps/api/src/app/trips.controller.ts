import { Body, Controller, Get, Inject, Post } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { FlightPatterns, HotelPatterns } from '@travel/messages';

@Controller('trips')
export class TripsController {
  constructor(@Inject('NATS') private readonly client: ClientProxy) {}

  @Get('flights')
  flights() {
    return this.client.send(FlightPatterns.search, {});
  }

  @Get('hotels')
  hotels() {
    return this.client.send(HotelPatterns.Search, {});
  }

  @Post()
  book(@Body() body: { flight: string }) {
    return this.client.send(FlightPatterns.book, body);
  }
}
