import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { known, PREFIX, QUEUE } from './env';

@Controller()
export class EnvController {
  @MessagePattern(`${PREFIX}.find`) find() {}
  @MessagePattern(QUEUE) queue() {}
  @MessagePattern({ cmd: process.env.MSCTL_TEST_CMD ?? 'fallback' }) fallback() {}
  @MessagePattern(known.a) known() {}
  @EventPattern(['env.first', known.b]) part() {}
  @EventPattern(process.env.NODE_ENV === 'msctl-never' ? 'env.prod' : 'env.dev') mode() {}
}
