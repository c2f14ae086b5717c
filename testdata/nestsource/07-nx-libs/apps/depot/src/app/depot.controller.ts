import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { Depot } from '@depot/contracts';
import { PREFIX } from '@depot/shared/prefix';

@Controller()
export class DepotController {
  @MessagePattern(Depot.Open) open() {}
  @EventPattern(Depot.Event.Opened) opened() {}
  @EventPattern(`${PREFIX}.${Depot.Event.Opened}`) prefixed() {}
}
