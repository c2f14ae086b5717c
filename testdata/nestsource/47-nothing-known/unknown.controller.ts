import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { fromFile, next, random } from './unknown';

@Controller()
export class UnknownController {
  @MessagePattern(fromFile) file() {}
  @MessagePattern({ cmd: random }) random() {}
  @MessagePattern('known.one') known() {}
  @EventPattern(['known.two', fromFile, next()]) mixed() {}
  @EventPattern(undefined as any) undefinedPattern() {}
}
