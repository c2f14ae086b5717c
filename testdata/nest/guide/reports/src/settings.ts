import { MicroserviceOptions, Transport } from '@nestjs/microservices';

/** How messages arrive: over TCP, or from a queue of RabbitMQ if MS_QUEUE names one. */
export const transport: MicroserviceOptions = process.env.MS_QUEUE
  ? {
      transport: Transport.RMQ,
      options: {
        urls: [process.env.RABBITMQ_URL ?? 'amqp://localhost:5672'],
        queue: process.env.MS_QUEUE,
        queueOptions: { durable: true },
      },
    }
  : {
      transport: Transport.TCP,
      options: {
        host: process.env.MS_HOST ?? '0.0.0.0',
        port: Number(process.env.MS_PORT ?? 3003),
        retryAttempts: 5,
        retryDelay: 3000,
      },
    };
