import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';

@Controller()
export class BillingController {
  private total = 0;

  @EventPattern('order_created')
  created(@Payload() order: { name: string; price: number }) {
    this.total += order.price;
  }

  @MessagePattern('billing_total')
  sum() {
    return this.total;
  }
}
