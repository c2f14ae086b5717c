import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { ALL } from '@acme/events';
import { ALPHA } from '@acme/events/by-name/alpha';
import { OrderEvents } from '@acme/events/orders';

@Controller()
export class OrdersController {
  @MessagePattern(ALL) all() {}
  @EventPattern(OrderEvents.Placed) placed() {}
  @EventPattern(ALPHA) alpha() {}
}
