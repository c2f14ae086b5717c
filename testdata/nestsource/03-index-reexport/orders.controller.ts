import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { billing, Fallback, Letter, ORDER_CREATED, ORDER_DELETED, Twice } from './contracts';
import * as all from './contracts';

@Controller()
export class OrdersController {
  @EventPattern(ORDER_CREATED) created() {}
  @EventPattern(ORDER_DELETED) deleted() {}
  @EventPattern(billing.PAID) paid() {}
  @EventPattern(Letter) letter() {}
  @MessagePattern(Fallback.pattern) fallback() {}
  @MessagePattern(Twice) twice() {}
  @MessagePattern(all.billing.Refund.asked) refund() {}
}
