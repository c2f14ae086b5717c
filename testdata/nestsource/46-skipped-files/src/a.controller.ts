import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';

@Controller()
export class AController {
  @MessagePattern('skipped.real') real() {}
}
