import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { Inlined, Merged, Topic } from './enums';

enum Local { Here = 'local.here' }

@Controller()
export class TopicsController {
  @EventPattern(Topic.Created) created() {}
  @EventPattern(Topic['with-dash']) dashed() {}
  @EventPattern({ alias: Topic.Alias }) alias() {}
  @EventPattern(Topic.Joined) joined() {}
  @MessagePattern(Inlined.One) inlined() {}
  @MessagePattern({ cmd: Merged.A, sub: Merged.B }) merged() {}
  @MessagePattern({ cmd: Local.Here }) local() {}
}
