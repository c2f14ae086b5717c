import { EventPattern, MessagePattern } from '@nestjs/microservices';

export function AutoRpc(prefix: string): ClassDecorator {
  return target => {
    const prototype = target.prototype;
    for (const key of Object.getOwnPropertyNames(prototype)) {
      if (key === 'constructor') continue;
      MessagePattern(`${prefix}.${key}`)(prototype, key, Object.getOwnPropertyDescriptor(prototype, key)!);
    }
  };
}
export function Traced(): MethodDecorator {
  return (_target, _key, descriptor: any) => {
    const original = descriptor.value;
    descriptor.value = function (this: unknown, ...args: unknown[]) { return original.apply(this, args); };
    return descriptor;
  };
}
export const Quiet = (): MethodDecorator => () => {};
export const unused = (name: string) => EventPattern(name);
