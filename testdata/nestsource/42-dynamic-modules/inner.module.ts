import { Controller, type DynamicModule } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';

export function createModule(name: string): DynamicModule {
  @Controller()
  class InnerController {
    @EventPattern(`inner.${name}`) handle() {}
  }
  class InnerModule {}
  return { module: InnerModule, controllers: [InnerController] };
}
