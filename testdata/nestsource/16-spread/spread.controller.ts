import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

const base = { role: 'base', version: 1 };
const NAMES = ['s.one', 's.two'] as const;
const overridden = { ...base, version: 2 };

@Controller()
export class SpreadController {
  @MessagePattern({ ...base, cmd: 'literal' }) literal() {}
  @MessagePattern({ cmd: 'first', ...base, role: 'changed' }) changed() {}
  @MessagePattern(overridden) overridden() {}
  @MessagePattern({ ...{ cmd: 'inner' } }) inner() {}
  @MessagePattern({ cmd: 'maybe', ...(base.version > 1 ? { big: true } : { small: true }) }) conditional() {}
  @MessagePattern({ cmd: 'nothing', ...undefined, ...null }) nothing() {}
  @EventPattern([...NAMES, 's.three']) array() {}
}
