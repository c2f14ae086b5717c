import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

type Pattern = { cmd: string };
const T = { a: 'as.a', b: 'as.b' } satisfies Record<string, string>;
const frozen = Object.freeze({ c: 'as.c' } as const);

@Controller()
export class AssertionsController {
  @MessagePattern('as.string' as string) as() {}
  @MessagePattern('as.const' as const) constant() {}
  @MessagePattern(<string>'as.angle') angle() {}
  @MessagePattern(('as.paren')) paren() {}
  @MessagePattern((((<any>T).a) as unknown) as string) several() {}
  @MessagePattern({ cmd: 'as.satisfies' } satisfies Pattern) satisfies() {}
  @MessagePattern({ cmd: T.b! } as Pattern) bang() {}
  @MessagePattern(frozen.c) frozen() {}
  @EventPattern((T as { a: string })['a'] + '.x') element() {}
}
