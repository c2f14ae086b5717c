import { MicroserviceOptions, Transport } from '@nestjs/microservices';

export const MAIL_QUEUE = 'mail_queue';

/** Where a service listens, or is reached. */
export const tcp = (name: string, port: number): MicroserviceOptions => ({
  transport: Transport.TCP,
  options: { host: process.env[`${name}_HOST`] || 'localhost', port: parseInt(process.env[`${name}_PORT`] || `${port}`, 10) },
});

export const mail = (): MicroserviceOptions => ({
  transport: Transport.RMQ,
  options: { urls: [process.env.RABBITMQ_URL ?? 'amqp://localhost:5672'], queue: MAIL_QUEUE, queueOptions: { durable: true } },
});
