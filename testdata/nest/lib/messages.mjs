// Message handlers that answer: [pattern, (data, context) => result]. Those that fail are in errors.mjs.
import { ms, rxjs } from './nest.mjs';
import { state, reset, describeContext } from './state.mjs';

const { of, from, EMPTY, NEVER, timer, interval, concat, take, map, ignoreElements } = rxjs;
const cmd = name => ({ cmd: name });
const sum = numbers => (numbers || []).reduce((a, b) => a + b, 0);
const count = (n, value) => from(Array.from({ length: n ?? 3 }, (_, i) => value(i)));

const basic = [
  [cmd('createItem'), data => ({ id: 1, created: true, item: data })],
  [cmd('echo'), data => data],
  ['echo', data => data],
  [cmd('sum'), sum],
  ['math.sum', sum],
  [cmd('é😀'), data => data],
  [cmd('slow'), data => new Promise(done => setTimeout(() => done({ slept: data?.ms ?? 100 }), data?.ms ?? 100))],
  [cmd('never'), () => NEVER],
  [cmd('ctx'), (data, ctx) => describeContext(ctx)],
  ['wire.ctx', (data, ctx) => describeContext(ctx)],
];

// Patterns whose route differs from what they look like (docs/wire.md, 2.3).
const patterns = [
  [42, () => 'number-pattern'],
  ['true', () => 'string-true'],
  ['null', () => 'string-null'],
  ['1e3', () => 'string-1e3'],
  ['1000', () => 'string-1000'],
  ['[1,2]', () => 'string-array'],
  [{ b: 2, a: { d: 'x', c: true } }, data => ({ nested: data })],
];

const streams = [
  [cmd('stream'), data => interval(data?.delay ?? 5).pipe(take(data?.n ?? 3), map(i => i))],
  [cmd('streamSync'), data => count(data?.n, i => i)],
  [cmd('streamBig'), data => count(data?.n, () => 'z'.repeat(data?.size ?? 1000))],
  [cmd('streamLateComplete'), data => concat(from([1, 2]), timer(data?.delay ?? 30).pipe(ignoreElements()))],
  [cmd('streamEmpty'), () => EMPTY],
  [cmd('streamUndefined'), () => of(undefined, undefined)],
  [cmd('streamNulls'), () => of(null, 1, null)],
  [cmd('promiseObservable'), () => Promise.resolve(of('p1', 'p2'))],
  [cmd('observableOfPromise'), () => of(Promise.resolve('inner'))],
];

const returns = [
  [cmd('returnNull'), () => null],
  [cmd('returnUndefined'), () => undefined],
  [cmd('returnFalse'), () => false],
  [cmd('returnZero'), () => 0],
  [cmd('returnEmptyString'), () => ''],
  [cmd('returnArray'), () => [1, 'a', null, undefined]],
  [cmd('returnEmptyObject'), () => ({})],
  [cmd('returnDate'), () => new Date(0)],
  [cmd('returnBuffer'), () => Buffer.from([1, 2, 255])],
  [cmd('returnNaN'), () => NaN],
  [cmd('returnFunction'), () => () => 1],
  [cmd('returnBigInt'), () => 10n],
  [cmd('returnCircular'), () => { const self = {}; self.o = self; return self; }],
  [cmd('returnEnvelopeLike'), () => ({ response: 1, isDisposed: true })],
  [cmd('returnEmoji'), () => 'a\u{1F600}b'],
  [cmd('returnLoneSurrogate'), () => 'x\uD83Dy'],
  [cmd('returnRpcException'), () => new ms.RpcException('returned, not thrown')],
  [cmd('returnError'), () => new Error('returned error')],
];

// Questions the tests ask the server about itself.
const control = [
  [cmd('eventCount'), data => (data?.pattern ? state.counts[data.pattern] ?? 0 : state.counts)],
  [cmd('events'), () => state.events],
  [cmd('reset'), reset],
];

export const messageHandlers = [...basic, ...patterns, ...streams, ...returns, ...control];
