#!/usr/bin/env node
// The NestJS service that `make bench` measures: three plain handlers, nothing around them.
import { core, common, ms } from './lib/nest.mjs';
import { parseArgs, transportOptions, print } from './lib/args.mjs';
import { items } from './lib/items.mjs';

const args = parseArgs();
const list = items(120);

class BenchController {
  echo(data) {
    return data;
  }
  createItem(data) {
    return data;
  }
  list() {
    return list;
  }
}
common.Controller()(BenchController);
for (const cmd of ['echo', 'createItem', 'list']) {
  ms.Payload()(BenchController.prototype, cmd, 0);
  Reflect.defineMetadata('design:paramtypes', [Object], BenchController.prototype, cmd);
  ms.MessagePattern({ cmd })(BenchController.prototype, cmd, Object.getOwnPropertyDescriptor(BenchController.prototype, cmd));
}
class BenchModule {}
common.Module({ controllers: [BenchController] })(BenchModule);

const app = await core.NestFactory.createMicroservice(BenchModule, { ...transportOptions(args, 'server'), logger: false });
await app.listen();
print({ event: 'listening' });
process.on('SIGINT', () => process.exit(0));
process.stdin.on('end', () => process.exit(0)).resume();
