import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { AutoRpc, Quiet, Traced } from './unusual';

@Controller()
@AutoRpc('auto')
export class AutoController {
  first() {}
  second() {}
}

@Controller()
export class TracedController {
  @MessagePattern('traced.below') @Traced() below() {}
  @Traced() @MessagePattern('traced.lost') lost() {}
  @Quiet() @EventPattern('traced.quiet') quiet() {}
  byHand() {}
}
MessagePattern('by.hand')(TracedController.prototype, 'byHand', Object.getOwnPropertyDescriptor(TracedController.prototype, 'byHand')!);
