import { Controller, Inject } from '@nestjs/common';
import { ClientProxy, MessagePattern, Payload } from '@nestjs/microservices';
import { FlightPatterns, HotelPatterns } from '@travel/messages';

export interface BookFlight {
  flight: string;
  seats?: number;
}

@Controller()
export class FlightsController {
  constructor(@Inject('NATS') private readonly client: ClientProxy) {}

  @MessagePattern(FlightPatterns.search)
  search() {
    return [{ flight: 'OS101' }];
  }

  @MessagePattern(FlightPatterns.book)
  book(@Payload() booking: BookFlight) {
    this.client.emit(HotelPatterns.Reserved, booking);
    return { ...booking, booked: true };
  }
}
