import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { LEGACY, MIXED } from './many';

@Controller()
export class ManyController {
  @MessagePattern(['many.a', 'many.b']) two() {}
  @MessagePattern([{ cmd: 'many.c' }, { cmd: 'many.d', v: 1 }]) objects() {}
  @EventPattern(LEGACY) legacy() {}
  @EventPattern([...LEGACY, 'many.new'].map(name => 'v2.' + name)) mapped() {}
  @EventPattern(MIXED) mixed() {}
  @MessagePattern([]) none() {}
  @MessagePattern(['many.single']) single() {}
}
