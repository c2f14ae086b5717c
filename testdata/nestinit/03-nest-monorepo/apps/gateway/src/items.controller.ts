import { CreateItemDto, ITEMS, Reports } from '@app/contracts';
import { Body, Controller, Get, Inject, Post } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';

@Controller('items')
export class ItemsController {
  constructor(
    @Inject('ITEMS') private readonly items: ClientProxy,
    @Inject('REPORTS') private readonly reports: ClientProxy,
  ) {}

  @Post()
  create(@Body() dto: CreateItemDto) {
    return this.items.send(ITEMS.CREATE, dto);
  }

  @Get()
  findAll() {
    return this.items.send(ITEMS.FIND_ALL, {});
  }

  @Get('report')
  report() {
    return this.reports.send(Reports.Monthly, {});
  }
}
