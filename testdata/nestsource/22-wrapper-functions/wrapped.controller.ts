import { Controller } from '@nestjs/common';
import { Applied, ByKind, Command, curried, Fixed, Handlers, Users, Versioned, wrap } from './wrappers';

const Orders = curried('orders');
const local = (name: string) => Command('local.' + name);

@Controller()
export class WrappedController {
  @Command('wrapped') wrapped() {}
  @Versioned('first') first() {}
  @Versioned('second', 2) second() {}
  @Applied('applied') applied() {}
  @Users('created') users() {}
  @Orders('created') orders() {}
  @Handlers.On('static.wrapper') on() {}
  @wrap.message('object.wrapper') object() {}
  @wrap.named('x') named() {}
  @local('arrow') arrow() {}
  @ByKind('event', 'kind.event') kindEvent() {}
  @ByKind('message', 'kind.message') kindMessage() {}
  @Fixed fixed() {}
}
