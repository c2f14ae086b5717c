import { Controller, Get, Inject, Param, Post } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { NATS_SERVICE } from './config';

@Controller('products')
export class ProductsController {
  constructor(@Inject(NATS_SERVICE) private readonly client: ClientProxy) {}

  @Get(':id')
  find(@Param('id') id: string) {
    return this.client.send({ cmd: 'find_one_product' }, { id });
  }

  @Post(':id/pay')
  pay(@Param('id') id: string) {
    return this.client.send('create.payment.session', { id });
  }
}
