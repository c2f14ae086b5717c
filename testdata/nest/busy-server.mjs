#!/usr/bin/env node
// A NestJS service whose handler `work` keeps the process busy for --busy ms (10), so that it has a known capacity. With
// --drop-expired it does not do work whose caller has given up, by the metadata `expires` (milliseconds since 1970).
// `create` adds a record for each message and is not idempotent; `count` returns the number of records.
import { core, common, ms } from './lib/nest.mjs';
import { parseArgs, transportOptions, print } from './lib/args.mjs';

const args = parseArgs();
const busy = Number(args.busy || 10);
let done = 0;
let dropped = 0;
let records = 0;

function spin(milliseconds) {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

class BusyController {
  work(data, ctx) {
    const expires = Number(ctx.getMetadata?.()?.expires);
    if (args['drop-expired'] && expires && Date.now() > expires) {
      dropped++;
      throw new ms.RpcException({ status: 504, message: 'expired' });
    }
    spin(busy);
    return ++done;
  }
  create() {
    return ++records;
  }
  count() {
    return { done, dropped, records };
  }
}
common.Controller()(BusyController);
for (const cmd of ['work', 'create', 'count']) {
  ms.Payload()(BusyController.prototype, cmd, 0);
  ms.Ctx()(BusyController.prototype, cmd, 1);
  Reflect.defineMetadata('design:paramtypes', [Object, Object], BusyController.prototype, cmd);
  ms.MessagePattern({ cmd })(BusyController.prototype, cmd, Object.getOwnPropertyDescriptor(BusyController.prototype, cmd));
}
class BusyModule {}
common.Module({ controllers: [BusyController] })(BusyModule);

const app = await core.NestFactory.createMicroservice(BusyModule, { ...transportOptions(args, 'server'), logger: false });
await app.listen();
print({ event: 'listening', pid: process.pid });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
if (args['until-stdin-ends']) process.stdin.on('end', () => process.exit(0)).resume();
