import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { RpcException } from '@nestjs/microservices';
import { CreateItemDto, UpdateItemDto } from './item.dto';

export interface Item {
  id: string;
  name: string;
  price: number;
  tags?: string[];
  createdAt: Date;
  updatedAt: Date;
}

/** The items, in memory. */
@Injectable()
export class ItemsService {
  private readonly items = new Map<string, Item>();

  create({ name, price, tags }: CreateItemDto): Item {
    if (name === process.env.FAIL_ON) throw new Error('disk full');
    const now = new Date();
    const item = { id: randomUUID(), name, price, tags, createdAt: now, updatedAt: now };
    this.items.set(item.id, item);
    return item;
  }

  findAll(): Item[] {
    return [...this.items.values()];
  }

  /** An item, or an error with status 404. With the ID in HANG_ON, the reply never comes. */
  async findOne(id: string): Promise<Item> {
    if (id === process.env.HANG_ON) return new Promise(() => {});
    const item = this.items.get(id);
    if (!item) throw new RpcException({ status: 404, message: `Item with ID ${id} not found` });
    return item;
  }

  async update(id: string, { name, price, tags }: UpdateItemDto): Promise<Item> {
    const item = await this.findOne(id);
    if (name !== undefined) item.name = name;
    if (price !== undefined) item.price = price;
    if (tags !== undefined) item.tags = tags;
    item.updatedAt = new Date();
    return item;
  }

  async delete(id: string): Promise<Item> {
    const item = await this.findOne(id);
    this.items.delete(id);
    return item;
  }
}
