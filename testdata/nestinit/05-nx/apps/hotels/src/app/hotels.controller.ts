import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { HotelPatterns } from '@travel/messages';

@Controller()
export class HotelsController {
  @MessagePattern(HotelPatterns.Search)
  search() {
    return [{ hotel: 'Sacher' }];
  }

  @EventPattern(HotelPatterns.Reserved)
  reserved(@Payload() booking: { flight: string }) {
    console.log('reserved', booking.flight);
  }
}
