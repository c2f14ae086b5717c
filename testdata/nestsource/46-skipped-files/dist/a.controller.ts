import { MessagePattern } from '@nestjs/microservices';

export class Built {
  @MessagePattern('skipped.dist') dist() {}
}
