import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

@Controller()
export class NumbersController {
  @MessagePattern(1) one() {}
  @MessagePattern(-1) negative() {}
  @MessagePattern(0x10) hex() {}
  @MessagePattern(.5) fraction() {}
  @MessagePattern(1_000) separated() {}
  @MessagePattern(0b101) binary() {}
  @MessagePattern(0o17) octal() {}
  @MessagePattern(1e21) big() {}
  @MessagePattern(2.50) trailing() {}
  @MessagePattern({ n: +5, m: ~5, k: 1e-7, e: 1E3, d: 5. }) members() {}
  @MessagePattern([7, -8]) list() {}
  @EventPattern({ not: !true, math: (2 + 3) * 4%7, power: 2 ** 3 ** 2 }) math() {}
}
