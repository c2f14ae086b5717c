import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';

@Controller()
export class ProductsController {
  private paid = 0;

  @MessagePattern({ cmd: 'find_one_product' })
  findOne(@Payload('id') id: string) {
    return { id, paid: this.paid };
  }

  @EventPattern('payment.succeeded')
  succeeded(@Payload() payment: { id: string }) {
    this.paid++;
  }
}
