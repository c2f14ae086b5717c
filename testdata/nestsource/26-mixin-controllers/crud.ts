import { Controller, type Type } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

export function Crud<T>(entity: string, options: { events?: boolean } = {}): Type<any> {
  const prefix = entity.toLowerCase();
  @Controller()
  class CrudController {
    @MessagePattern({ cmd: `${prefix}.find` }) find() {}
    @MessagePattern({ cmd: `${prefix}.list` }) list() {}
    @EventPattern(`${prefix}.${options.events ? 'changed' : 'ignored'}`) changed() {}
  }
  return CrudController;
}

export const named = (name: string) => {
  class Inner {
    @MessagePattern(`named.${name}`) handle() {}
  }
  return Inner;
};
