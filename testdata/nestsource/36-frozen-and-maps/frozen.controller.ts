import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { ById, Defined, Frozen, instance, Names, Pattern } from './frozen';

@Controller()
export class FrozenController {
  @MessagePattern(Frozen.a.b) frozen() {}
  @MessagePattern(ById.get('find')!) find() {}
  @EventPattern([...Names]) names() {}
  @EventPattern(Array.from(ById.keys(), key => 'key.' + key)) keys() {}
  @MessagePattern(Defined.pattern) identity() {}
  @MessagePattern(instance.route) getter() {}
  @MessagePattern(instance.with('.suffix')) method() {}
  @MessagePattern({ ...new Pattern('spread', 3) }) object() {}
}
