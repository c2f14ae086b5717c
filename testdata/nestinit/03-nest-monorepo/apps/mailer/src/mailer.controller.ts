import { CreateItemDto, Events } from '@app/contracts';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';

@Controller()
export class MailerController {
  private sent = 0;

  @EventPattern(Events.ItemCreated)
  created(@Payload() item: CreateItemDto) {
    this.sent++;
  }

  @MessagePattern('mail.v1.count')
  count() {
    return this.sent;
  }
}
