import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { EXPORTED, missing, Topics } from './all';

const { orders: { created, list: [first, , third] }, plain, ...others } = Topics;
const [, second, ...tail] = Topics.orders.list;
const { 'quoted-name': quoted } = Topics;

@Controller()
export class AllController {
  @EventPattern(created) created() {}
  @EventPattern([first, third]) list() {}
  @EventPattern(plain) plain() {}
  @EventPattern({ second, tail }) second() {}
  @MessagePattern(others['quoted-name']) rest() {}
  @MessagePattern({ quoted }) quoted() {}
  @MessagePattern(EXPORTED + '.exported') exported() {}
  @MessagePattern(missing) defaulted() {}
}
