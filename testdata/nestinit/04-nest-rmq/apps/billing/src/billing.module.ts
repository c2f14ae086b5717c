import { RmqModule } from '@app/common';
import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { BillingController } from './billing.controller';

@Module({
  imports: [ConfigModule.forRoot({ isGlobal: true, envFilePath: './apps/billing/.env' }), RmqModule],
  controllers: [BillingController],
})
export class BillingModule {}
