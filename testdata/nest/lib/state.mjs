// What the handlers of one server process count.
export const state = { counts: {}, events: [], handled: 0, onHandled: () => {} };

/** Forgets the counts and the events, for the next test on the same process. */
export function reset() {
  state.counts = {};
  state.events = [];
  return true;
}

/** What the transport's context knows of a message, as plain JSON. */
export function describeContext(ctx) {
  const described = { ctor: ctx?.constructor?.name };
  const ask = (name, method, shape = v => v) => {
    if (typeof ctx?.[method] === 'function') described[name] = shape(ctx[method]());
  };
  ask('pattern', 'getPattern');
  ask('metadata', 'getMetadata', v => v ?? null);
  ask('channel', 'getChannel');
  ask('subject', 'getSubject');
  ask('headers', 'getHeaders', h => (h ? Object.fromEntries([...h.keys()].map(k => [k, h.values(k)])) : null));
  if (typeof ctx?.getMessage === 'function') {
    const { fields, properties } = ctx.getMessage();
    Object.assign(described, { fields, properties });
  }
  return described;
}
