import { EventPattern, MessagePattern } from '@nestjs/microservices';

export const Command = (name: string) => MessagePattern({ cmd: name });
export function Versioned(name: string, version = 1): MethodDecorator {
  return MessagePattern({ cmd: name, version });
}
export function Applied(name: string): MethodDecorator {
  return (target, key, descriptor) => {
    MessagePattern(name + '.' + String(key))(target, key, descriptor as any);
  };
}
export const curried = (service: string) => (method: string) => EventPattern(`${service}/${method}`);
export const Users = curried('users');
export class Handlers {
  static On(topic: string) { return EventPattern(topic); }
}
export const wrap = { message: MessagePattern, named(name: string) { return MessagePattern('named.' + name); } };
export function ByKind(kind: 'event' | 'message', topic: string) {
  switch (kind) {
    case 'event':
      return EventPattern(topic);
    default:
      return MessagePattern(topic);
  }
}
export const Fixed = MessagePattern('fixed.pattern');
