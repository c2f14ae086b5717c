import { BadRequestException, Controller, HttpCode, Inject, Post, Req } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { Public } from './auth.guard';

@Controller('webhook')
export class WebhookController {
  constructor(@Inject('WORKER') private readonly worker: ClientProxy) {}

  /** Passes a webhook to the worker. The body is the bytes as they were sent, which a signature could be of. */
  @Public()
  @Post()
  @HttpCode(200)
  async receive(@Req() request: { body: unknown }) {
    if (!Buffer.isBuffer(request.body)) throw new BadRequestException('send Content-Type: application/json');
    const { body } = request;
    await lastValueFrom(this.worker.emit('webhook.v1.received', JSON.parse(body.toString())), { defaultValue: undefined });
    return { bytes: body.length };
  }
}
