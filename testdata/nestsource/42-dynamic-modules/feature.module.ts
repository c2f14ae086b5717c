import { type DynamicModule, Module } from '@nestjs/common';
import { AdminController, FeatureController } from './feature.controller';

@Module({})
export class FeatureModule {
  static forRoot(options: { rpc: boolean }): DynamicModule {
    return { module: FeatureModule, controllers: options.rpc ? [FeatureController] : [AdminController] };
  }
}
