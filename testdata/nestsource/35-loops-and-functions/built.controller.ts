import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { camel, changed, list, pick, recursive, registry, topic, topics } from './built';

@Controller()
export class BuiltController {
  @EventPattern(topics.created) created() {}
  @EventPattern(Object.values(topics)) all() {}
  @EventPattern(list) list() {}
  @EventPattern(changed) changed() {}
  @EventPattern([registry.a, registry.b, registry.c]) registry() {}
  @MessagePattern(topic('users')) added() {}
  @MessagePattern(topic('users', 'remove')) removed() {}
  @MessagePattern({ cmd: camel('find-all-items') }) camel() {}
  @MessagePattern(pick(5)) pick() {}
  @MessagePattern(recursive(3)) recursive() {}
}
