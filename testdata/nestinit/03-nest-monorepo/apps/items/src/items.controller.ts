import { CreateItemDto, Events, ITEMS } from '@app/contracts';
import { Controller, Inject } from '@nestjs/common';
import { ClientProxy, MessagePattern, Payload } from '@nestjs/microservices';

@Controller()
export class ItemsController {
  private readonly items: CreateItemDto[] = [];

  constructor(@Inject('MAIL') private readonly mail: ClientProxy) {}

  @MessagePattern(ITEMS.CREATE)
  create(@Payload() dto: CreateItemDto) {
    this.items.push(dto);
    this.mail.emit(Events.ItemCreated, dto);
    return dto;
  }

  @MessagePattern(ITEMS.FIND_ALL)
  findAll() {
    return this.items;
  }
}
