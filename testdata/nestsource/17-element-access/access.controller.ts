import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import * as file from './access';
import { NAME, X } from './access';

@Controller()
export class AccessController {
  @MessagePattern(X['Y']) literal() {}
  @MessagePattern({ cmd: X[NAME] }) name() {}
  @MessagePattern(X.list[1]) index() {}
  @MessagePattern(X.list.at(-2)!) at() {}
  @MessagePattern(X.deep['a-b'].c) deep() {}
  @MessagePattern(X!.deep!['a-b']!.c!) bang() {}
  @MessagePattern(X?.deep?.['a-b']?.c + '.optional') optional() {}
  @MessagePattern(X.optional ?? 'e.default') nullish() {}
  @MessagePattern(X.optional || 'e.or') or() {}
  @MessagePattern(file['X']['list'][0]) namespace() {}
  @MessagePattern(X.Y ? 'e.yes' : 'e.no') condition() {}
}
