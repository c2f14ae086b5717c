import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { ApiBearerAuth } from '@nestjs/swagger';
import { Throttle } from '@nestjs/throttler';
import { Public, Roles } from './access';
import { call } from './calls';
import { CreateItemDto, ProfileDto, SearchDto, UpdateItemDto } from './dto';

@Controller()
export class ItemsController {
  constructor(@Inject('ITEMS') private readonly items: ClientProxy, @Inject('REPORTS') private readonly reports: ClientProxy) {}

  @Public()
  @Post('items')
  create(@Body() dto: CreateItemDto) { return call(this.items, 'createItem', dto); }

  @Public()
  @Get('items')
  findAll() { return call(this.items, 'findAllItems', {}); }

  @Public()
  @Get('items/:id')
  findOne(@Param('id') id: string) { return call(this.items, 'findOneItem', { id }); }

  @Public()
  @Patch('items/:id')
  update(@Param('id') id: string, @Body() updateItemDto: UpdateItemDto) { return call(this.items, 'updateItem', { id, updateItemDto }); }

  @ApiBearerAuth()
  @Roles('admin')
  @Delete('items/:id')
  remove(@Param('id') id: string) { return call(this.items, 'deleteItem', { id }); }

  /** What `make bench` calls: the token is verified, the body validated, and the caller's rate counted. */
  @ApiBearerAuth()
  @Post('orders')
  order(@Body() dto: CreateItemDto) { return call(this.items, 'createItem', dto); }

  @ApiBearerAuth()
  @Get('mine')
  mine() { return call(this.items, 'findAllItems', {}); }

  @Public()
  @Get('search')
  search(@Query() dto: SearchDto) { return call(this.items, 'search', dto); }

  @Public()
  @Post('profiles')
  profile(@Body() dto: ProfileDto) { return call(this.items, 'echo', dto); }

  /** The service answers with an error that has the body as its payload. */
  @Public()
  @Post('fail')
  @HttpCode(200)
  fail(@Body() payload: Record<string, unknown>) { return call(this.items, 'fail', payload); }

  @Public()
  @Get('slow')
  slow() { return call(this.items, 'slow', {}); }

  @Public()
  @Get('unhandled')
  unhandled() { return call(this.items, 'nothing', {}); }

  @Public()
  @Get('reports')
  down() { return call(this.reports, 'findAllReports', {}); }

  @Public()
  @Throttle({ default: { ttl: 3_600_000, limit: 5 } })
  @Get('limited')
  limited() { return call(this.items, 'findAllItems', {}); }

  /** With two limits, of which the second is reached first. */
  @Public()
  @Throttle({ default: { ttl: 3_600_000, limit: 5 }, short: { ttl: 3_600_000, limit: 2 } })
  @Get('limited/twice')
  limitedTwice() { return call(this.items, 'findAllItems', {}); }
}
