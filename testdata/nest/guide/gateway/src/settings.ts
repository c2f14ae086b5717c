import { ClientProviderOptions, Transport } from '@nestjs/microservices';

const rabbit = (queue: string) => ({
  transport: Transport.RMQ as const,
  options: {
    urls: [process.env.RABBITMQ_URL ?? 'amqp://localhost:5672'],
    queue,
    queueOptions: { durable: true },
  },
});

/** The connection to a service: over TCP, or through a queue of RabbitMQ if there is one. */
const service = (name: string, host: string | undefined, port: string, queue: string | undefined): ClientProviderOptions =>
  queue
    ? { name, ...rabbit(queue) }
    : { name, transport: Transport.TCP, options: { host: host ?? 'localhost', port: Number(port) } };

export const items = service('ITEMS', process.env.MS_ONE_HOST, process.env.MS_ONE_PORT ?? '3002', process.env.MS_ONE_QUEUE);
export const reports = service('REPORTS', process.env.MS_TWO_HOST, process.env.MS_TWO_PORT ?? '3003', process.env.MS_TWO_QUEUE);
export const orders = service('ORDERS', process.env.MS_THREE_HOST, process.env.MS_THREE_PORT ?? '3004', process.env.MS_THREE_QUEUE);
export const worker: ClientProviderOptions = { name: 'WORKER', ...rabbit(process.env.WORKER_QUEUE ?? 'worker') };

/** How long a call may take, in milliseconds. */
export const callTimeout = Number(process.env.CALL_TIMEOUT ?? 5000);

/** The services whose state is that of the gateway. */
export const watched = Object.entries({ items, reports, orders }).filter(([name]) => (process.env.HEALTH ?? 'items,reports').split(',').includes(name));
