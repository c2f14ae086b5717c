import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { Crud, named } from './crud';

@Controller()
export class UsersController extends Crud('Users') {
  @MessagePattern('users.extra') extra() {}
}

@Controller()
export class OrdersController extends Crud<string>('Orders', { events: true }) {}

export const Direct = Crud('Direct');

@Controller()
export class NamelessController extends named('one') {}
