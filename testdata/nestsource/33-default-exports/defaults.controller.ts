import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import Again, { Renamed } from './again';
import Klass from './class';
import Enum from './enum';
import legacy = require('./equals');
import make from './function';
import patterns, * as whole from './object';
import text from './text';

@Controller()
export default class DefaultsController {
  @MessagePattern(patterns.find) find() {}
  @MessagePattern(whole.default.list) list() {}
  @MessagePattern(text) text() {}
  @EventPattern(Klass.topic) klass() {}
  @EventPattern(Enum.A) enumeration() {}
  @EventPattern(legacy.topic) legacy() {}
  @EventPattern(make('called')) called() {}
  @EventPattern({ again: Again.find, renamed: Renamed.A }) again() {}
}
export { DefaultsController };
