import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { COUNT, ParcelTopics } from './topics';
import { ParcelTopics as Renamed } from './topics';

const LOCAL = 'parcel.local';

@Controller()
export class ParcelsController {
  @MessagePattern(ParcelTopics.weigh) weigh() {}
  @MessagePattern(Renamed.inner.label) label() {}
  @MessagePattern({ cmd: COUNT }) count() {}
  @MessagePattern({ COUNT }) short() {}
  @EventPattern(LOCAL) local() {}
}
