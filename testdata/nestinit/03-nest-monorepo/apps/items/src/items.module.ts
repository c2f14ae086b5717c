import { mail } from '@app/contracts';
import { Module } from '@nestjs/common';
import { ClientProxyFactory } from '@nestjs/microservices';
import { ItemsController } from './items.controller';

@Module({
  controllers: [ItemsController],
  providers: [{ provide: 'MAIL', useFactory: () => ClientProxyFactory.create(mail() as any) }],
})
export class ItemsModule {}
