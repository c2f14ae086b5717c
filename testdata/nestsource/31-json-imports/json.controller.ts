import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import topics from './topics.json';
import * as all from './topics.json';
import { orders } from './topics.json';
import required = require('./topics.json');

@Controller()
export class JsonController {
  @EventPattern(topics.orders.created) created() {}
  @EventPattern(all.list) list() {}
  @MessagePattern(orders.created + '.named') named() {}
  @MessagePattern(required['default-name']) required() {}
}
