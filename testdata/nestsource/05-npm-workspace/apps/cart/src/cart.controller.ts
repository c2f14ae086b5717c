import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { CartTopics, STOCK } from '@shop/contracts';
import { PLAIN } from 'plain-topics';
import { MORE } from 'plain-topics/sub/more';

@Controller()
export class CartController {
  @MessagePattern(CartTopics.Add) add() {}
  @EventPattern(CartTopics.Events.emptied) emptied() {}
  @EventPattern(STOCK.low) low() {}
  @MessagePattern(PLAIN) plain() {}
  @MessagePattern(MORE) more() {}
}
