// Makes scripted calls with printed policies (*.ts in the same folder) and the real RxJS, on a simulated clock, and prints
// what the policies did: see TestPrintedNestPolicy.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Observable } from 'rxjs';
import ts from 'typescript';

// The clock is monotonic. (That of node:test fires an interval again that was cleared while it fired.) The wall clock is set
// back all the time.
let now = 0, last = 0;
const timers = new Map();
const start = (every, callback, delay, args) => {
  if (delay > 2 ** 31 - 1) delay = 1; // as Node.js does
  timers.set(++last, { callback: () => callback(...args), at: now + Math.max(Math.ceil(delay), 0), every: every && Math.max(delay, 1) });
  return last;
};
globalThis.setTimeout = (callback, delay = 0, ...args) => start(false, callback, delay, args);
globalThis.setInterval = (callback, delay = 0, ...args) => start(true, callback, delay, args);
globalThis.clearTimeout = globalThis.clearInterval = id => { timers.delete(id); };
globalThis.performance = { now: () => now };
Date.now = () => 1_700_000_000_000 - 3600 * now;

/** Advances the clock to the next timer and fires it. */
function next() {
  const [id, timer] = [...timers].reduce((a, b) => (b[1].at < a[1].at ? b : a));
  now = timer.at;
  if (timer.every) timer.at += timer.every;
  else timers.delete(id);
  timer.callback();
}

const { scripts, calls, random } = JSON.parse(process.argv[2]);
const policies = readdirSync('.').filter(file => file.endsWith('.ts')).map(file => file.slice(0, -3));
for (const policy of policies) {
  writeFileSync(`${policy}.mjs`, ts.transpileModule(readFileSync(`${policy}.ts`, 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  }).outputText);
}

const errors = {
  answer: step => step.error,
  refused: () => Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' }),
  closed: () => new Error('Connection closed'),
};

/** A source that handles its n-th subscription according to the n-th step. */
const service = (steps, attempts, begin) => new Observable(observer => {
  attempts.push(now - begin);
  const step = steps[Math.min(attempts.length, steps.length) - 1];
  const end = () => (step.end === 'complete' ? observer.complete() : observer.error(errors[step.end](step)));
  const timers = (step.values ?? []).map(at => setTimeout(() => observer.next(at), at));
  if (step.end !== 'never') {
    if (step.at === 0) end();
    else timers.push(setTimeout(end, step.at));
  }
  return () => timers.forEach(clearTimeout);
});

function endOf(error) {
  if (!(error instanceof Error)) return 'answer';
  if (error.name === 'TimeoutError') return 'timeout';
  return error.code === 'ECONNREFUSED' ? 'refused' : 'closed';
}

function call(withPolicy, { steps, cancel }) {
  const begin = now, attempts = [], values = [];
  let end;
  const subscription = service(steps, attempts, begin).pipe(withPolicy()).subscribe({
    next: () => { values.push(now - begin); },
    error: error => { end ??= endOf(error); },
    complete: () => { end ??= 'complete'; },
  });
  if (cancel) setTimeout(() => {
    if (end !== undefined) return;
    end = 'canceled';
    subscription.unsubscribe();
  }, cancel);
  while (end === undefined) next();
  const took = now - begin;
  timers.clear();
  return { attempts, values, took, end };
}

const all = {};
for (const policy of policies) {
  all[policy] = {};
  Math.random = () => random[policy];
  for (const [name, script] of Object.entries(scripts)) {
    const { withPolicy } = await import(`./${policy}.mjs?${encodeURIComponent(name)}`); // a budget of its own
    all[policy][name] = Array.from({ length: calls }, () => call(withPolicy, script));
  }
}
console.log(JSON.stringify(all));
