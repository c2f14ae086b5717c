import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

@Controller()
export class FeatureController {
  @MessagePattern('feature.rpc') rpc() {}
}
@Controller()
export class AdminController {
  @MessagePattern('admin.unused') unused() {}
}
