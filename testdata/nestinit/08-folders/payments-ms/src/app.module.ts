import { Module } from '@nestjs/common';
import { ClientsModule, Transport } from '@nestjs/microservices';
import { envs, NATS_SERVICE } from './config';
import { PaymentsController } from './payments.controller';

@Module({
  imports: [ClientsModule.register([{ name: NATS_SERVICE, transport: Transport.NATS, options: { servers: envs.natsServers } }])],
  controllers: [PaymentsController],
})
export class AppModule {}
