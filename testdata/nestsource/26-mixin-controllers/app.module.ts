import { Module } from '@nestjs/common';
import { UsersController, OrdersController, Direct, NamelessController } from './crud.controllers';

@Module({ controllers: [UsersController, OrdersController, Direct, NamelessController] })
export class AppModule {}
