#!/usr/bin/env node
// A NestJS service that passes traces on as docs/telemetry.md shows: --snippet is the text of that code, in TypeScript. Its handler
// `findItem` asks the service at --stock for {"cmd":"countStock"}, over the same transport, and replies with what that replied.
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { core, common, ms, nestDir, rxjs } from './lib/nest.mjs';
import { parseArgs, transportOptions, print } from './lib/args.mjs';

const args = parseArgs();
const { TraceInterceptor, forwardTrace } = await compiled(args.snippet);

/** Compiles and imports TypeScript whose packages are those of NestJS. */
async function compiled(text) {
  const require = createRequire(join(nestDir, 'package.json'));
  const { outputText } = require('typescript').transpileModule(text, { compilerOptions: { module: 'ESNext', target: 'ES2022' } });
  const dir = mkdtempSync(join(tmpdir(), 'trace-'));
  const file = join(dir, 'snippet.mjs');
  writeFileSync(file, outputText.replace(/from '((?!node:)[^']+)'/g, (_, name) => `from '${pathToFileURL(require.resolve(name))}'`));
  try {
    return await import(pathToFileURL(file));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const where = args.transport === 'tcp' || !args.transport ? { port: args.stock } : { queue: args.stock };
const stock = ms.ClientProxyFactory.create(transportOptions({ ...args, ...where }, 'client'));
forwardTrace(stock);

class ItemsController {
  async find({ id }) {
    await new Promise(resolve => setTimeout(resolve, 1)); // as a database would
    return { id, stock: await rxjs.firstValueFrom(stock.send({ cmd: 'countStock' }, { id })) };
  }
}
common.Controller()(ItemsController);
ms.Payload()(ItemsController.prototype, 'find', 0);
Reflect.defineMetadata('design:paramtypes', [Object], ItemsController.prototype, 'find');
ms.MessagePattern({ cmd: 'findItem' })(ItemsController.prototype, 'find', Object.getOwnPropertyDescriptor(ItemsController.prototype, 'find'));
class ItemsModule {}
common.Module({ controllers: [ItemsController] })(ItemsModule);

const app = await core.NestFactory.createMicroservice(ItemsModule, { ...transportOptions(args, 'server'), logger: false });
app.useGlobalInterceptors(new TraceInterceptor());
await app.listen();
await app.serverInstance?.subClient?.ping();
await app.serverInstance?.natsClient?.flush();
print({ event: 'listening', pid: process.pid });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
if (args['until-stdin-ends']) process.stdin.on('end', () => process.exit(0)).resume();
