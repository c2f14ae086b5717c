import { EventPattern, MessagePattern } from '@nestjs/microservices';

export abstract class BaseController {
  @MessagePattern({ cmd: 'base.health' }) health() { return this.name(); }
  @EventPattern('base.reset') reset() {}
  @MessagePattern('base.overridden') overridden() {}
  @MessagePattern('base.redecorated') redecorated() {}
  protected abstract name(): string;
}
export class MiddleController extends BaseController {
  @MessagePattern('middle.own') own() {}
  protected name() { return 'middle'; }
}
