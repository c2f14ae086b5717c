import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { Kind as OldKind, make, Topics } from 'old-contracts';
import { Holder, Kind, ONE, TOPICS } from 'typed-contracts';

@Controller()
export class CompiledController {
  @EventPattern(Topics.created) created() {}
  @EventPattern(Topics.nested.deleted) deleted() {}
  @EventPattern({ a: OldKind.A, n: OldKind.N }) kind() {}
  @MessagePattern(make('called')) made() {}
  @MessagePattern(TOPICS.find) find() {}
  @MessagePattern([TOPICS.list[0], ONE]) list() {}
  @MessagePattern({ a: Kind.A, b: Kind.B }) typed() {}
  @MessagePattern(Holder.topic) held() {}
}
