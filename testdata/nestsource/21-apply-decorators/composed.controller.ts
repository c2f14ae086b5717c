import { Controller } from '@nestjs/common';
import { Both, Nested, OnEvent, Optional, Rpc } from './rpc.decorator';

@Controller()
export class ComposedController {
  @Rpc('composed', 'admin') composed() {}
  @OnEvent('seen') seen() {}
  @Both('both') both() {}
  @Nested('nested') nested() {}
  @Optional({ name: 'optional.message' }) message() {}
  @Optional({ name: 'optional.event', event: true }) event() {}
}
