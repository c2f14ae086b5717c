import { Controller, Get, Inject, Post } from '@nestjs/common';
import { ClientProxy, MessagePattern, Payload } from '@nestjs/microservices';
import { NATS_SERVICE } from './config';

@Controller('payments')
export class PaymentsController {
  constructor(@Inject(NATS_SERVICE) private readonly client: ClientProxy) {}

  @MessagePattern('create.payment.session')
  create(@Payload() order: { id: string }) {
    return { url: `/pay/${order.id}`, key: Boolean(process.env.STRIPE_SECRET) };
  }

  @Get('success')
  success() {
    return { ok: true };
  }

  @Post('webhook')
  webhook() {
    this.client.emit('payment.succeeded', { id: '1' });
  }
}
