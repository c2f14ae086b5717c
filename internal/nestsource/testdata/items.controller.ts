import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, Transport } from '@nestjs/microservices';
import { SHARED } from './shared';

// @MessagePattern('not.this.one')
/* @EventPattern('nor.this') */
export const CREATE = { cmd: 'createItem' } as const;
const name: string = 'item.v1.named';
const cmd = 'short';
export const Patterns = {
  find: { cmd: 'findItem', version: 2 },
  all: `findAllItems`,
  computed: makePattern(),
  nested: { deep: 'item.deep' },
};
enum Events {
  Viewed = 'item.v1.viewed',
  Sold = "item.v1.sold",
  Counted,
}

@Controller()
export class ItemsController {
  static readonly REMOVE = 'item.remove';

  constructor(private readonly items: ItemsService) {}

  @MessagePattern({ cmd: 'findAllItems' })
  findAll(): Item[] {
    return this.items.findAll("@MessagePattern('in a string')");
  }

  @UseGuards(AuthGuard('jwt'))
  @MessagePattern(CREATE, Transport.TCP)
  @UsePipes(new ValidationPipe({ whitelist: true }))
  async create(@Payload() dto: CreateItemDto): Promise<Item> {
    return this.items.create(dto);
  }

  @MessagePattern(name) public named() {}
  @MessagePattern({ cmd }) short() {}
  @MessagePattern(Patterns.find)
  find<T>(@Payload('id') id: number) {}
  @MessagePattern(Patterns.all) all() {}
  @MessagePattern(Patterns.nested.deep) deep() {}
  @MessagePattern(ItemsController.REMOVE) remove() {}
  @MessagePattern(['a.one', { 'a': 1, b: [] }]) broken() {}
  @MessagePattern(["a.one", "a.two"]) two() {}
  @MessagePattern({ "quoted-key": true, 'n': 1.5, "it's": null, }) odd() {}

  @EventPattern(Events.Viewed)
  viewed() {}
  @EventPattern(Events.Sold) sold() {}
  @EventPattern(Events.Counted) counted() {}
  @MessagePattern(SHARED.pattern) shared() {}
  @MessagePattern(`item.${version}`) versioned() {}
  @MessagePattern(makePattern('x', { a: (1) })) made() {}
  @MessagePattern(Patterns.computed) computed() {}
  @MessagePattern('a' + 'b') added() {}
}
