import { Body, Controller, Get, Inject, Param, Post } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { ApiBearerAuth, ApiProperty, ApiTags } from '@nestjs/swagger';
import { IsInt, IsNotEmpty, IsString, Max, Min } from 'class-validator';
import { call } from './calls';

export class CreateOrderDto {
  @ApiProperty()
  @IsString()
  @IsNotEmpty()
  itemId!: string;

  @ApiProperty()
  @IsInt()
  @Min(1)
  @Max(1000)
  quantity!: number;
}

/** The routes of the service orders of a workspace that msctl generates. */
@ApiTags('orders')
@ApiBearerAuth()
@Controller('orders')
export class OrdersController {
  constructor(@Inject('ORDERS') private readonly orders: ClientProxy) {}

  @Post()
  create(@Body() dto: CreateOrderDto) {
    return call(this.orders, 'createOrder', dto);
  }

  @Get(':id')
  findOne(@Param('id') id: string) {
    return call(this.orders, 'findOneOrder', { id });
  }
}
