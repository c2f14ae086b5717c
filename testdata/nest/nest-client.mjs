#!/usr/bin/env node
// A real NestJS ClientProxy, and what its caller observes as JSON lines. See README.md.
//
// One call from the command line:  --pattern '{"cmd":"sum"}' --data '[1,2]' [--emit] [--timeout ms] [--take n] [--metadata json]
// or, with --stdin, one for each line {"call":1,"pattern":…,"data":…,"js":"new Date(0)","emit":true,"timeout":ms,"take":n,"metadata":{}}.
// Calls read from stdin run side by side; their lines carry the number of the call. "js" is an expression for data that JSON
// cannot hold, such as new Date(0); it may use ms (the NestJS package, for its records) and natsHeaders({name: value}).
import { createInterface } from 'node:readline';
import { ms, rxjs, load } from './lib/nest.mjs';
import { parseArgs, transportOptions, print } from './lib/args.mjs';

const args = parseArgs();
const client = ms.ClientProxyFactory.create(transportOptions(args, 'client'));
let metadata;
client.setOnDispatchHook?.(packet => {
  if (metadata !== undefined) packet.metadata = metadata;
});

const plain = e => (e instanceof Error ? { name: e.name, message: e.message, ...(e.code ? { code: e.code } : {}) } : e ?? null);

const nats = args.transport === 'nats' && await load('@nats-io/transport-node').catch(() => load('nats')); // 12, and 10 and 11
function natsHeaders(values) {
  const headers = nats.headers();
  for (const [name, value] of Object.entries(values)) headers.append(name, value);
  return headers;
}
const evaluate = expression => new Function('ms', 'natsHeaders', `return (${expression})`)(ms, natsHeaders);

/** Makes one call and resolves with false when it failed. */
function run(call) {
  const tag = call.call === undefined ? {} : { call: call.call };
  const data = call.js !== undefined ? evaluate(call.js) : call.data;
  metadata = call.metadata;
  let values = call.emit ? client.emit(call.pattern, data) : client.send(call.pattern, data);
  if (call.timeout) values = values.pipe(rxjs.timeout(call.timeout));
  if (call.take) values = values.pipe(rxjs.take(call.take));
  return new Promise(resolve => {
    values.subscribe({
      next: value => call.emit || print({ ...tag, event: 'next', ...(value === undefined ? { undefined: true } : { value }) }),
      error: error => { print({ ...tag, event: 'error', error: plain(error), jsType: typeof error }); resolve(false); },
      complete: () => { print({ ...tag, event: call.emit ? 'emitted' : 'complete' }); resolve(true); },
    });
  });
}

const json = text => { try { return JSON.parse(text); } catch { return text; } };
const fromArgs = () => ({
  pattern: json(args.pattern),
  data: args.data === undefined ? {} : json(args.data),
  emit: !!args.emit,
  timeout: Number(args.timeout || 0),
  take: Number(args.take || 0),
  metadata: args.metadata && json(args.metadata),
});

let ok = true;
if (args.stdin) {
  const running = [];
  for await (const line of createInterface({ input: process.stdin })) running.push(run(JSON.parse(line)));
  await Promise.all(running);
} else {
  ok = await run(fromArgs());
}
await client.close();
process.exitCode = ok ? 0 : 1;
