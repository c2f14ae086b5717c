import { RmqModule } from '@app/common';
import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { BILLING_SERVICE } from './constants/services';
import { OrdersController } from './orders.controller';

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true, envFilePath: './apps/orders/.env' }),
    RmqModule.register({ name: BILLING_SERVICE }),
  ],
  controllers: [OrdersController],
})
export class OrdersModule {}
