import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { POST_PUBLISHED, type PublishPost } from '@social/contracts';

@Controller()
export class NotificationsController {
  private sent = 0;

  @EventPattern(POST_PUBLISHED)
  published(@Payload() post: PublishPost) {
    this.sent++;
  }

  @MessagePattern('notifications.count')
  count() {
    return this.sent;
  }
}
