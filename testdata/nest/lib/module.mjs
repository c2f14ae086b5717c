// Builds the NestJS module: a controller with one method for every handler. The decorators are called by hand, so
// that no TypeScript compiler is needed.
import { ms, common } from './nest.mjs';
import { state, reset } from './state.mjs';
import { messageHandlers } from './messages.mjs';
import { errorHandlers } from './errors.mjs';
import { eventHandlers, wildcardHandlers } from './events.mjs';

class ForbidGuard {
  canActivate() {
    return false;
  }
}

class NamePipe {
  transform(value) {
    if (!value || typeof value.name !== 'string') throw new common.BadRequestException(['name must be a string']);
    return value;
  }
}

/** A controller class, and the function that adds one decorated method to it. */
function newController({ manualAck }) {
  class WireController {}
  common.Controller()(WireController);
  const proto = WireController.prototype;
  const acknowledged = new WeakSet(); // an event with two handlers is one message
  const acknowledge = ctx => {
    const message = ctx.getMessage();
    if (!acknowledged.has(message)) ctx.getChannelRef().ack(message);
    acknowledged.add(message);
  };
  let methods = 0;
  const add = (register, pattern, handle, { payload = ms.Payload(), decorators = [] } = {}) => {
    const key = `handler${methods++}`;
    Object.defineProperty(proto, key, {
      configurable: true,
      writable: true,
      value(data, ctx) {
        state.handled++;
        state.onHandled({ pattern, data, handler: key });
        if (manualAck) acknowledge(ctx);
        return handle(data, ctx);
      },
    });
    const descriptor = Object.getOwnPropertyDescriptor(proto, key);
    payload(proto, key, 0);
    ms.Ctx()(proto, key, 1);
    Reflect.defineMetadata('design:paramtypes', [Object, Object], proto, key);
    for (const decorate of [register(pattern), ...decorators]) decorate(proto, key, descriptor);
    Object.defineProperty(proto, key, descriptor);
  };
  return { WireController, add };
}

function addPlain(add) {
  for (const [pattern, handle] of [...messageHandlers, ...errorHandlers]) add(ms.MessagePattern, pattern, handle);
  for (const [pattern, handle] of eventHandlers) add(ms.EventPattern, pattern, handle);
  add(ms.MessagePattern, { cmd: 'guarded' }, () => 'never', { decorators: [common.UseGuards(ForbidGuard)] });
  add(ms.MessagePattern, { cmd: 'validated' }, data => ({ ok: true, d: data }), { payload: ms.Payload(new NamePipe()) });
  add(ms.MessagePattern, { cmd: 'payloadProp' }, name => ({ prop: name ?? null }), { payload: ms.Payload('name') });
}

function addWildcards(add, transport) {
  const { messages, events } = wildcardHandlers(transport);
  for (const [pattern, handle] of messages) add(ms.MessagePattern, pattern, handle);
  for (const [pattern, handle] of events) add(ms.EventPattern, pattern, handle);
  add(ms.MessagePattern, 'wire.events', () => state.events);
  add(ms.MessagePattern, 'wire.reset', reset);
}

/** The root module. With wildcards only the transport's wildcard handlers are registered. */
export function buildModule({ transport = 'tcp', wildcards = false, manualAck = false, withoutPattern = false } = {}) {
  const { WireController, add } = newController({ manualAck });
  if (wildcards) addWildcards(add, transport);
  else addPlain(add);
  if (withoutPattern) add(ms.EventPattern, undefined, () => undefined);
  class AppModule {}
  common.Module({ controllers: [WireController] })(AppModule);
  return AppModule;
}
