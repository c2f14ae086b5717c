import { Controller, Get, Inject, Param } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';

@Controller('accounts')
export class AccountsController {
  constructor(
    @Inject('ACCOUNTS_SERVICE') private readonly accounts: ClientProxy,
    @Inject('TRANSFERS_SERVICE') private readonly transfers: ClientProxy,
  ) {}

  @Get(':id')
  find(@Param('id') id: string) {
    return this.accounts.send({ cmd: 'findAccount' }, { id });
  }

  @Get(':id/transfers')
  list(@Param('id') id: string) {
    return this.transfers.send({ cmd: 'listTransfers' }, { id });
  }
}
