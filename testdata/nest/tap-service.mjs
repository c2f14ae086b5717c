#!/usr/bin/env node
// A service of a chain, to see what msctl tap shows of it. Its patterns contain --name. --next '{"name":"b","port":4001}' is the service that
// it calls, in the form of the arguments of transportOptions. With --http, it serves HTTP instead of messages: GET /hop sends
// {"cmd":"hop"} to the next service.
import { createServer } from 'node:http';
import { core, common, ms, rxjs } from './lib/nest.mjs';
import { parseArgs, transportOptions, print } from './lib/args.mjs';

const args = parseArgs();
const { firstValueFrom, lastValueFrom, of, timer, interval, throwError, NEVER, catchError, mergeMap, retry, take, timeout, toArray } = rxjs;
const next = args.next && JSON.parse(args.next);
const client = next && ms.ClientProxyFactory.create(transportOptions(next, 'client'));
const send = (cmd, data) => client.send({ cmd, svc: next.name }, data);
const emit = (event, data) => lastValueFrom(client.emit(`${next.name}.${event}`, data), { defaultValue: null });
let failures = 0;

/** What the service does with a message, in the middle of the chain and at its end. */
const handlers = {
  hop: async data => ({ via: [args.name, ...(next ? (await firstValueFrom(send('hop', data))).via : [])] }),
  fail: async data => {
    if (next) return firstValueFrom(send('fail', data));
    throw new Error('out of stock');
  },
  wrap: async data => {
    if (!next) throw new ms.RpcException({ status: 404, message: 'no such item' });
    return firstValueFrom(send('wrap', data).pipe(catchError(error => throwError(() => new ms.RpcException(error)))));
  },
  twice: data => (next ? send('twice', data).pipe(mergeMap(() => send('hop', data))) : of('once')),
  count: data => (next ? send('count', data) : interval(100).pipe(take(3)) /* slowly: NestJS 10 loses values that follow quickly */),
  retry: data => (next ? send('retry', data).pipe(retry(2)) : failures++ % 3 < 2 ? throwError(() => new Error('not yet')) : of('done')),
  late: data => (next ? send('late', data).pipe(timeout(1000), catchError(() => of('too late'))) : NEVER),
  missing: data => (next ? send('unknown', data).pipe(catchError(error => of(String(error.message ?? error)))) : undefined),
  notify: async data => {
    if (next) await emit('seen', data);
    return null;
  },
  disturb: async data => {
    if (next) await emit('fails', data);
    return null;
  },
};
const events = {
  seen: data => (next ? emit('seen', data) : undefined),
  fails: data => (next ? emit('fails', data) : timer(5).pipe(mergeMap(() => throwError(() => new Error('event failed'))))),
};

async function serveMessages() {
  class ChainController {}
  common.Controller()(ChainController);
  const add = (register, pattern, name, handle) => {
    const prototype = ChainController.prototype;
    prototype[name] = data => handle(data);
    ms.Payload()(prototype, name, 0);
    Reflect.defineMetadata('design:paramtypes', [Object], prototype, name);
    register(pattern)(prototype, name, Object.getOwnPropertyDescriptor(prototype, name));
  };
  for (const [cmd, handle] of Object.entries(handlers)) add(ms.MessagePattern, { cmd, svc: args.name }, cmd, handle);
  for (const [event, handle] of Object.entries(events)) add(ms.EventPattern, `${args.name}.${event}`, event, handle);
  class ChainModule {}
  common.Module({ controllers: [ChainController] })(ChainModule);
  const app = await core.NestFactory.createMicroservice(ChainModule, { ...transportOptions(args, 'server'), logger: false });
  await app.listen();
  const server = app.serverInstance ?? app.server; // 10
  await server?.subClient?.ping?.();
  await server?.natsClient?.flush?.();
}

async function serveHTTP() {
  const server = createServer(async (req, res) => {
    const cmd = new URL(req.url, 'http://localhost').pathname.slice(1);
    const data = { item: 7, password: 'hunter2' };
    try {
      const value = events[cmd] ? await emit(cmd, data) : await lastValueFrom(send(cmd, data).pipe(toArray()));
      res.end(JSON.stringify(value));
    } catch (error) {
      res.statusCode = 502;
      res.end(JSON.stringify({ message: error.message ?? String(error) }));
    }
  });
  await new Promise(resolve => server.listen(Number(args.port), '127.0.0.1', resolve));
}

await (args.http ? serveHTTP() : serveMessages());
print({ event: 'listening', pid: process.pid });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
process.stdin.on('end', () => process.exit(0)).resume();
