import { Module } from '@nestjs/common';
import { FeatureModule } from './feature.module';
import { createModule } from './inner.module';

const shared = [createModule('made')];

@Module({ imports: [FeatureModule.forRoot({ rpc: true }), ...shared] })
export class AppModule {}
