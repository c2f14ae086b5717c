import { MessagePattern } from '@nestjs/microservices';

export class Fake {
  @MessagePattern('skipped.spec') spec() {}
}
