import { Controller } from '@nestjs/common';
import { MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { CreateItemDto, ItemIdDto, UpdateItemMessage } from './item.dto';
import { Item, ItemsService } from './items.service';

@Controller()
export class ItemsController {
  constructor(private readonly items: ItemsService) {}

  @MessagePattern({ cmd: 'createItem' })
  create(@Payload() dto: CreateItemDto): Promise<Item> {
    return handled(() => this.items.create(dto));
  }

  @MessagePattern({ cmd: 'findAllItems' })
  findAll(): Promise<Item[]> {
    return handled(() => this.items.findAll());
  }

  @MessagePattern({ cmd: 'findOneItem' })
  findOne(@Payload() { id }: ItemIdDto): Promise<Item> {
    return handled(() => this.items.findOne(id));
  }

  @MessagePattern({ cmd: 'updateItem' })
  update(@Payload() { id, updateItemDto }: UpdateItemMessage): Promise<Item> {
    return handled(() => this.items.update(id, updateItemDto));
  }

  @MessagePattern({ cmd: 'deleteItem' })
  delete(@Payload() { id }: ItemIdDto): Promise<Item> {
    return handled(() => this.items.delete(id));
  }
}

/** The result of a handler. Unexpected errors become errors with a status, too. */
async function handled<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error: any) {
    if (error instanceof RpcException) throw error;
    throw new RpcException({ status: error.status || 500, message: error.message });
  }
}
