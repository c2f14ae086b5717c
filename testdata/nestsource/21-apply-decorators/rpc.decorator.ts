import { applyDecorators, SetMetadata, UseGuards } from '@nestjs/common';
import { EventPattern, MessagePattern, Transport } from '@nestjs/microservices';

class AllowGuard { canActivate() { return true; } }

export function Rpc(cmd: string, ...roles: string[]) {
  return applyDecorators(SetMetadata('roles', roles), MessagePattern({ cmd }), UseGuards(AllowGuard));
}
export const OnEvent = (name: string) => applyDecorators(EventPattern(`app.${name}`));
export function Both(name: string) {
  return applyDecorators(MessagePattern(`${name}.message`), EventPattern(`${name}.event`));
}
export const Nested = (cmd: string) => applyDecorators(Rpc(cmd, 'nested'), SetMetadata('a', 1));
export function Optional({ name, event = false }: { name: string; event?: boolean }) {
  const decorators: Array<MethodDecorator> = [];
  if (event) {
    decorators.push(EventPattern(name, Transport.NATS));
  } else {
    decorators.push(MessagePattern(name, Transport.TCP));
  }
  return applyDecorators(...decorators);
}
