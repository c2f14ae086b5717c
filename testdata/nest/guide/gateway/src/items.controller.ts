import { Body, Controller, Delete, Get, Inject, Param, Patch, Post } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Roles } from './auth.guard';
import { call } from './calls';
import { CreateItemDto, UpdateItemDto } from './item.dto';

@ApiTags('items')
@ApiBearerAuth()
@Controller('items')
export class ItemsController {
  constructor(@Inject('ITEMS') private readonly items: ClientProxy) {}

  @Post()
  create(@Body() dto: CreateItemDto) {
    return call(this.items, 'createItem', dto);
  }

  @Get()
  findAll() {
    return call(this.items, 'findAllItems', {});
  }

  @Get(':id')
  findOne(@Param('id') id: string) {
    return call(this.items, 'findOneItem', { id });
  }

  @Patch(':id')
  update(@Param('id') id: string, @Body() updateItemDto: UpdateItemDto) {
    return call(this.items, 'updateItem', { id, updateItemDto });
  }

  @Roles('admin')
  @Delete(':id')
  delete(@Param('id') id: string) {
    return call(this.items, 'deleteItem', { id });
  }
}
