import { Controller, Module } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';

@Controller()
class AccountsController {
  @MessagePattern({ cmd: 'findAccount' })
  find(@Payload('id') id: string) {
    return { id, balance: 0 };
  }
}

@Module({ controllers: [AccountsController] })
export class AppModule {}
