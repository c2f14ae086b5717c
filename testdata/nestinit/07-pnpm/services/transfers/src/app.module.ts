import { Controller, Inject, Module } from '@nestjs/common';
import { Client, ClientProxy, MessagePattern, Payload, Transport } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';

@Controller()
class TransfersController {
  @Client({ transport: Transport.TCP, options: { host: process.env.ACCOUNTS_HOST ?? 'localhost', port: +(process.env.ACCOUNTS_PORT ?? 4001) } })
  private readonly accounts: ClientProxy;

  @MessagePattern({ cmd: 'listTransfers' })
  async list(@Payload('id') id: string) {
    const account = await firstValueFrom(this.accounts.send({ cmd: 'findAccount' }, { id }));
    return { account, transfers: [] };
  }
}

@Module({ controllers: [TransfersController] })
export class AppModule {}
