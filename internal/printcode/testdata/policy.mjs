// Makes scripted calls with a printed policy (policy.mjs in the same folder) and the real RxJS, on a simulated clock, and
// prints what the policy did: see TestPrintedNestPolicy.
import { Observable } from 'rxjs';

// The clock. (That of node:test fires an interval again that was cleared while it fired.)
let now = 1_700_000_000_000, last = 0;
const timers = new Map();
const start = (every, callback, delay, args) => {
  timers.set(++last, { callback: () => callback(...args), at: now + Math.max(Math.ceil(delay), 0), every: every && Math.max(delay, 1) });
  return last;
};
globalThis.setTimeout = (callback, delay = 0, ...args) => start(false, callback, delay, args);
globalThis.setInterval = (callback, delay = 0, ...args) => start(true, callback, delay, args);
globalThis.clearTimeout = globalThis.clearInterval = id => { timers.delete(id); };
Date.now = () => now;

/** Advances the clock to the next timer and fires it. */
function next() {
  const [id, timer] = [...timers].reduce((a, b) => (b[1].at < a[1].at ? b : a));
  now = timer.at;
  if (timer.every) timer.at += timer.every;
  else timers.delete(id);
  timer.callback();
}

const { scripts, calls, random } = JSON.parse(process.argv[2]);
Math.random = () => random;

const errors = {
  answer: step => step.error,
  refused: () => Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' }),
  closed: () => new Error('Connection closed'),
};

/** A source that handles its n-th subscription according to the n-th step. */
const service = (steps, attempts, begin) => new Observable(observer => {
  attempts.push(Date.now() - begin);
  const step = steps[Math.min(attempts.length, steps.length) - 1];
  if (step.kind === 'never') return undefined;
  const act = () => {
    if (step.kind !== 'value') return observer.error(errors[step.kind](step));
    observer.next('ok');
    return observer.complete();
  };
  if (step.after === 0) return act();
  const timer = setTimeout(act, step.after);
  return () => clearTimeout(timer);
});

function endOf(error) {
  if (!(error instanceof Error)) return 'answer';
  if (error.name === 'TimeoutError') return 'timeout';
  return error.code === 'ECONNREFUSED' ? 'refused' : 'closed';
}

function call(withPolicy, steps) {
  const begin = Date.now(), attempts = [];
  let end;
  service(steps, attempts, begin).pipe(withPolicy()).subscribe({
    error: error => { end = endOf(error); },
    complete: () => { end = 'value'; },
  });
  while (end === undefined) next();
  return { attempts, took: Date.now() - begin, end };
}

const all = {};
for (const [name, steps] of Object.entries(scripts)) {
  const { withPolicy } = await import(`./policy.mjs?${encodeURIComponent(name)}`); // a budget of its own
  all[name] = Array.from({ length: calls }, () => call(withPolicy, steps));
}
console.log(JSON.stringify(all));
