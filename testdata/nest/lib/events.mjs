// Event handlers, and the wildcard handlers of the brokers.
import { ms, rxjs } from './nest.mjs';
import { state, describeContext } from './state.mjs';

const counted = (name, then = () => undefined) => (data, ctx) => {
  state.counts[name] = (state.counts[name] || 0) + 1;
  state.events.push({ pattern: name, data });
  return then(data, ctx);
};

export const eventHandlers = [
  ['user_created', counted('user_created')],
  [{ evt: 'created' }, counted('{"evt":"created"}')],
  [{ z: 1, a: 'q"\\' }, counted('z-a-escape')],
  ['multi', counted('multi#1')],
  ['multi', counted('multi#2')],
  ['evt_returns', counted('evt_returns', () => ({ fromEventHandler: true }))],
  ['evt_throws', counted('evt_throws', () => { throw new Error('event handler failed'); })],
  ['evt_rpc_throws', counted('evt_rpc_throws', () => { throw new ms.RpcException('event rpc failed'); })],
  ['evt_stream', data => rxjs.defer(() => { counted('evt_stream')(data); return rxjs.of(1, 2); })],
];

/** Handlers registered when the server runs with --wildcards: {messages, events} of the transport. */
export function wildcardHandlers(transport) {
  const patterns = {
    rmq: { messages: ['orders.*', 'logs.#', 'a.#.b', 'exact.key'], events: ['evt.*', 'evt.deep.#'] },
    nats: { messages: ['orders.*', 'logs.>'], events: ['evt.*', 'evtdeep.>'] },
    redis: { messages: ['orders.*', 'h?llo', 'x[ab]'], events: ['evt.*'] },
  }[transport] ?? { messages: [], events: [] };
  const answer = name => (data, ctx) => ({ matched: name, data, ctx: describeContext(ctx) });
  return {
    messages: patterns.messages.map(p => [p, answer(p)]),
    events: patterns.events.map(p => [p, counted(p)]),
  };
}
