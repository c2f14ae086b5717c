#!/usr/bin/env node
// The NestJS client that `make bench` measures: --in-flight calls side by side on one connection, each followed by the
// next, for --warm ms and then for --ms ms. With --rate, it makes that many calls per second instead, and begins with two.
// Prints {"event":"start"} and {"event":"done","calls":n,"latencies":[p50,p99]} in ms.
import { ms } from './lib/nest.mjs';
import { parseArgs, transportOptions, print } from './lib/args.mjs';
import { items } from './lib/items.mjs';

const args = parseArgs();
const client = ms.ClientProxyFactory.create(transportOptions(args, 'client'));
await client.connect();
const pattern = { cmd: args.row === 'list' ? 'list' : 'echo' };
const data = args.row === 'list' ? {} : items(1)[0];
const wanted = args.row === 'list' ? 120 : 1;

let phase = 'warm';
const took = [];
const now = () => performance.now();
let running = 0;
let finish;
const finished = new Promise(resolve => { finish = resolve; });

function next() {
  const start = now();
  client.send(pattern, data).subscribe({
    next: value => {
      if ((Array.isArray(value) ? value.length : 1) !== wanted) throw new Error('wrong reply');
    },
    error: error => { throw error instanceof Error ? error : new Error(JSON.stringify(error)); },
    complete: () => {
      if (phase === 'measure') took.push(now() - start);
      if (phase !== 'end' && !rate) next();
      else if (--running === 0 && phase === 'end') finish();
    },
  });
}
const rate = Number(args.rate || 0);
for (; running < (rate ? 1 : Number(args['in-flight'] || 64)); running++) next();
if (rate) {
  let made = 0;
  const start = now();
  const pacer = setInterval(() => { // timers have whole milliseconds: catch up with the schedule
    if (phase === 'end') {
      clearInterval(pacer);
      if (running === 0) finish();
      return;
    }
    for (; made <= (now() - start) * rate / 1000; made++) {
      running++;
      next();
    }
  }, 1);
}
setTimeout(() => { phase = 'measure'; print({ event: 'start' }); }, Number(args.warm || 1000));
setTimeout(() => { phase = 'end'; }, Number(args.warm || 1000) + Number(args.ms || 3000));
await finished;
took.sort((a, b) => a - b);
const at = q => took[Math.min(took.length - 1, Math.floor(took.length * q))];
print({ event: 'done', calls: took.length, latencies: [at(0.5), at(0.99)] });
for await (const _ of process.stdin); // until it has been looked at
await client.close();
