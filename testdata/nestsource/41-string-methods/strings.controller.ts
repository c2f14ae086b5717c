import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

const NAME = 'OrderCreatedEvent';
const kebab = (s: string) => s.replace(/([a-z])([A-Z])/g, '$1-$2').toLowerCase();
const snake = (s: string) => s.replace(/[A-Z]/g, c => '_' + c.toLowerCase()).replace(/^_/, '');
class OrderShippedEvent { static readonly type = this.name; }

@Controller()
export class StringsController {
  @EventPattern(kebab(NAME)) kebab() {}
  @EventPattern(snake(NAME)) snake() {}
  @EventPattern(NAME.toUpperCase().slice(0, 5)) upper() {}
  @EventPattern(NAME.split('C')[0].concat('.', 'x')) split() {}
  @EventPattern(OrderShippedEvent.name) className() {}
  @EventPattern(kebab(OrderShippedEvent.type)) type() {}
  @MessagePattern('a.b.c'.replaceAll('.', '/').padEnd(7, '*')) replaced() {}
  @MessagePattern({ n: (255).toString(16), f: (1.5).toFixed(2), p: parseInt('42px', 10), j: JSON.stringify({ a: 1 }) }) numbers() {}
  @MessagePattern('x'.repeat(3) + 'trim '.trim() + 'abc'.indexOf('c') + 'abc'.charAt(1) + 'abc'.includes('b')) several() {}
}
