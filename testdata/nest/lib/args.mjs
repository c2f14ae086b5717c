// Command line and transport options, shared by the programs.
import { readFileSync } from 'node:fs';
import { ms } from './nest.mjs';

/** Reads `--name value`, `--name=value` and `--flag` into an object. */
export function parseArgs(argv = process.argv.slice(2)) {
  const args = {};
  for (let i = 0; i < argv.length; i++) {
    if (!argv[i].startsWith('--')) throw new Error(`unexpected argument ${argv[i]}`);
    const [, name, , inline] = /^--([^=]+)(=(.*))?$/s.exec(argv[i]);
    if (inline !== undefined) args[name] = inline;
    else if (i + 1 < argv.length && !argv[i + 1].startsWith('--')) args[name] = argv[++i];
    else args[name] = true;
  }
  return args;
}

function tcp(args) {
  const options = { host: args.host || '127.0.0.1', port: Number(args.port || 3000) };
  const tls = {};
  if (args['tls-ca']) tls.ca = readFileSync(args['tls-ca']);
  if (args['tls-servername']) tls.servername = args['tls-servername'];
  if (args['tls-key']) Object.assign(tls, { key: readFileSync(args['tls-key']), cert: readFileSync(args['tls-cert']) });
  if (args['tls-request-cert']) Object.assign(tls, { requestCert: true, rejectUnauthorized: true });
  return Object.keys(tls).length ? { ...options, tlsOptions: tls } : options;
}

function rmq(args, role) {
  const options = { urls: [args.url || 'amqp://127.0.0.1:5672'], queue: args.queue || 'nest_q' };
  if (args['manual-ack'] && role === 'server') options.noAck = false;
  if (args.wildcards) options.wildcards = true;
  if (args.exchange) options.exchange = args.exchange;
  if (args['exchange-type']) options.exchangeType = args['exchange-type'];
  if (args['routing-key']) options.routingKey = args['routing-key'];
  return options;
}

function redis(args) {
  const options = { host: args.host || '127.0.0.1', port: Number(args.port || 6379) };
  if (args.url) {
    const url = new URL(args.url);
    Object.assign(options, { host: url.hostname, port: Number(url.port || 6379) }, credentials(url, 'username', 'password'));
    if (url.pathname.length > 1) options.db = Number(url.pathname.slice(1));
    if (url.protocol === 'rediss:') options.tls = {};
  }
  if (args.wildcards) options.wildcards = true;
  return options;
}

function nats(args, role) {
  const url = new URL(args.url || 'nats://127.0.0.1:4222');
  const options = { servers: [`${url.protocol}//${url.host}`], ...credentials(url, url.password ? 'user' : 'token', 'pass') };
  if (args.queue && role === 'server') options.queue = args.queue;
  return options;
}

/** The part of a URL before the @, under the driver's names. */
function credentials(url, user, password) {
  const found = {};
  if (url.username) found[user] = decodeURIComponent(url.username);
  if (url.password) found[password] = decodeURIComponent(url.password);
  return found;
}

/** The object that NestFactory.createMicroservice and ClientProxyFactory.create take. role is server or client. */
export function transportOptions(args, role) {
  const name = String(args.transport || 'tcp');
  const known = { tcp: [ms.Transport.TCP, tcp], rmq: [ms.Transport.RMQ, rmq], redis: [ms.Transport.REDIS, redis], nats: [ms.Transport.NATS, nats] };
  if (!known[name]) throw new Error(`unknown --transport ${name}: tcp, rmq, redis or nats`);
  const [transport, options] = known[name];
  return { transport, options: { ...options(args, role), ...(args.options ? JSON.parse(args.options) : {}) } };
}

/** Prints one JSON line on stdout. */
export const print = object => process.stdout.write(JSON.stringify(object) + '\n');
