import { Body, Controller, Inject, Post } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { BILLING_SERVICE } from './constants/services';

@Controller('orders')
export class OrdersController {
  constructor(@Inject(BILLING_SERVICE) private readonly billing: ClientProxy) {}

  @Post()
  create(@Body() order: { name: string; price: number }) {
    return this.billing.emit('order_created', order);
  }
}
