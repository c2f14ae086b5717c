import { Module } from '@nestjs/common';
import { ClientsModule, Transport } from '@nestjs/microservices';
import { envs, NATS_SERVICE } from './config';

@Module({
  imports: [ClientsModule.register([{ name: NATS_SERVICE, transport: Transport.NATS, options: { servers: envs.natsServers } }])],
  exports: [ClientsModule],
})
export class NatsModule {}
