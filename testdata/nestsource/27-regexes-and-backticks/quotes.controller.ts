import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

const Q = /[`'"]/g;
const slash = /[/]`/.test('a') ? 1 / 2 : 3;
const tick = '`', open = "${", nested = `${`a${'`'}b`}`;
const divided = 10 / 2 / 5; // ` in a comment
/* ` in a block */
const close = /\/`{2}/u;

@Controller()
export class QuotesController {
  private readonly re = /"/;
  @MessagePattern('quotes.one') one() { return 'x'.replace(/`/g, "'"); }
  @MessagePattern('quotes.two') two(): string { return `a${this.one().replace(/[`}]/, '')}`; }
  @EventPattern(`quotes.${'`'.length}`) three() { return this.re.test('`') ? /`/ : /'/; }
  @MessagePattern({ cmd: nested }) four() { const a = 4, g = 2; return a /2/ g; }
  @EventPattern('quotes.last') last() { if (true) /`/.exec('`'); return Q; }
}
