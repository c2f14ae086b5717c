import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

// @MessagePattern('comment.line') commented() {}
/* @MessagePattern('comment.block')
   blocked() {} */
const TEXT = "@MessagePattern('in.a.string') x() {}";
const TEMPLATE = `class A { @EventPattern('in.a.template') y() {} }`;

/** Example: `@MessagePattern('in.the.docs')`. */
@Controller(/* nothing */)
export class TextsController {
  /** @MessagePattern('in.jsdoc') */
  @MessagePattern(/* before */ 'texts.real' /* after */) // trailing
  // between the decorator and the method
  real() { return TEXT + TEMPLATE; }

  @EventPattern(
    // the reason
    'texts.multiline',
  )
  public multiline(): void {}

  notAHandler() { return "@EventPattern('no')"; }
}
