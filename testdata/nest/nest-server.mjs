#!/usr/bin/env node
// A real NestJS microservice. See README.md.
import { core, version } from './lib/nest.mjs';
import { parseArgs, transportOptions, print } from './lib/args.mjs';
import { buildModule } from './lib/module.mjs';
import { state } from './lib/state.mjs';

const args = parseArgs();
const plain = value => (value instanceof Error ? { name: value.name, message: value.message } : value);
const log = level => (message, ...rest) => {
  process.stderr.write(JSON.stringify({ log: level, message: plain(message), context: rest.map(plain).at(-1) }) + '\n');
};
const logger = Object.fromEntries(['log', 'error', 'warn', 'debug', 'verbose', 'fatal'].map(level => [level, log(level)]));

process.on('unhandledRejection', error => print({ event: 'unhandledRejection', error: plain(error) }));
process.on('uncaughtException', error => print({ event: 'uncaughtException', error: plain(error) }));
if (args.verbose) state.onHandled = handled => print({ event: 'handled', ...handled });

const config = transportOptions(args, 'server');
const module = buildModule({ transport: String(args.transport || 'tcp'), wildcards: !!args.wildcards, manualAck: !!args['manual-ack'], withoutPattern: !!args['without-pattern'] });
const app = await core.NestFactory.createMicroservice(module, { ...config, logger, abortOnError: false });
await app.listen();
await subscribed(app);
print({ event: 'listening', nest: version, pid: process.pid });

/** Redis and NATS have taken all subscriptions once they answer this; NestJS itself does not wait for that. */
async function subscribed(microservice) {
  const server = microservice.serverInstance ?? microservice.server; // NestJS 10 has the second name
  await server?.subClient?.ping();
  await server?.natsClient?.flush();
}

async function stop() {
  setTimeout(() => process.exit(1), 5000).unref(); // NestJS waits for a broker that is gone
  await app.close().catch(() => {});
  print({ event: 'closed', counts: state.counts });
  process.exit(0);
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
if (args['until-stdin-ends']) process.stdin.on('end', stop).resume();
