import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { Patterns } from './patterns';

@Controller()
export class PatternsController {
  static readonly MINE = 'static.mine';
  private static readonly hidden = { cmd: 'static.hidden' };

  @MessagePattern(Patterns.List) list() {}
  @MessagePattern(Patterns.Nested.find) find() {}
  @MessagePattern(Patterns.Own) own() {}
  @MessagePattern(Patterns['computed-key']) key() {}
  @MessagePattern(Patterns.late) late() {}
  @MessagePattern(Patterns.shared) shared() {}
  @MessagePattern(Patterns.prefix) prefix() {}
  @MessagePattern(Patterns.computed) getter() {}
  @MessagePattern(Patterns.of('called')) called() {}
  @EventPattern(PatternsController.MINE) mine() {}
  @EventPattern(PatternsController.hidden) hidden() {}
}
