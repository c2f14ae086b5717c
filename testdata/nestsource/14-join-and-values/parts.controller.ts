import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { A, EVENTS, Kind, SEP } from './parts';

@Controller()
export class PartsController {
  @MessagePattern([A, 'b'].join(SEP)) joined() {}
  @MessagePattern([A, 'b', 3].join()) commas() {}
  @EventPattern(Object.values(EVENTS)) values() {}
  @EventPattern(Object.values(Kind)) kinds() {}
  @EventPattern(Object.keys(EVENTS).map(key => `key.${key}`)) keys() {}
  @EventPattern(Object.entries(EVENTS).map(([k, v]) => k + SEP + v)) entries() {}
  @EventPattern([...Object.values(EVENTS).filter(e => e.endsWith('created')), 'extra']) filtered() {}
  @MessagePattern(['x'].concat(['y', A])) concat() {}
  @MessagePattern(Object.fromEntries([['cmd', A]])) fromEntries() {}
  @MessagePattern(Object.assign({}, { cmd: 'assign' }, { v: 1 })) assign() {}
  @MessagePattern(['r', 'e'].reduce((all, x) => all + SEP + x, 'start')) reduced() {}
}
