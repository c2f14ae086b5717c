import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { BaseController, MiddleController } from './base.controller';

@Controller()
export class LeafController extends MiddleController {
  @MessagePattern('leaf.own') leaf() {}
  overridden() {}
  @MessagePattern('leaf.redecorated') redecorated() {}
}

@Controller()
export class OtherController extends BaseController {
  protected name() { return 'other'; }
  reset() {}
}
