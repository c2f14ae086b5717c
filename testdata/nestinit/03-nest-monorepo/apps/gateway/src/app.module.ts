import { tcp } from '@app/contracts';
import { Module } from '@nestjs/common';
import { ClientsModule } from '@nestjs/microservices';
import { ItemsController } from './items.controller';

@Module({
  imports: [
    ClientsModule.register([
      { name: 'ITEMS', ...tcp('MS_ONE', 3002) } as any,
      { name: 'REPORTS', ...tcp('MS_TWO', 3003) } as any,
    ]),
  ],
  controllers: [ItemsController],
})
export class AppModule {}
