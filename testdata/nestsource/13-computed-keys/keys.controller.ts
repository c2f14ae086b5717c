import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { Key, NS, ROUTES } from './keys';

@Controller()
export class KeysController {
  @MessagePattern({ [NS]: 'x' }) ns() {}
  @MessagePattern({ [Key.Cmd]: 'a', [Key.Role]: 'b' }) enums() {}
  @MessagePattern({ [NS + '-' + 1]: 1, ['lit']: 2 }) plus() {}
  @MessagePattern(ROUTES['ns.b']) element() {}
  @MessagePattern(ROUTES[NS]) byName() {}
  @MessagePattern(ROUTES.cmd) object() {}
  @MessagePattern(ROUTES[5]) five() {}
  @MessagePattern(ROUTES.lazy) lazy() {}
}
