import { NatsOptions, Transport } from '@nestjs/microservices';

export function nats(queue?: string): NatsOptions {
  return {
    transport: Transport.NATS,
    options: { servers: (process.env['NATS_SERVERS'] ?? 'nats://localhost:4222').split(','), queue },
  };
}
