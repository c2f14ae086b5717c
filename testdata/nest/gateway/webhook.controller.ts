import { createHmac, timingSafeEqual } from 'node:crypto';
import { BadRequestException, Controller, Headers, HttpCode, Inject, Post, RawBodyRequest, Req, UnauthorizedException } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { Public } from './access';
import { call } from './calls';
import { settings } from './settings';

@Controller('webhook')
export class WebhookController {
  constructor(@Inject('ITEMS') private readonly items: ClientProxy) {}

  @Public()
  @Post()
  @HttpCode(200)
  receive(@Req() request: RawBodyRequest<any>, @Headers('x-hub-signature-256') signature = '') {
    if (!request.rawBody) throw new BadRequestException('The body must be JSON: send Content-Type: application/json');
    const expected = Buffer.from(`sha256=${createHmac('sha256', settings.webhookSecret).update(request.rawBody).digest('hex')}`);
    const given = Buffer.from(signature);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new UnauthorizedException();
    return call(this.items, 'echo', request.body);
  }
}
