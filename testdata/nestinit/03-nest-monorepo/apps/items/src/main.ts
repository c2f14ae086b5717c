import { tcp } from '@app/contracts';
import { NestFactory } from '@nestjs/core';
import { ItemsModule } from './items.module';

async function bootstrap() {
  const app = await NestFactory.createMicroservice(ItemsModule, tcp('MS', 3002));
  await app.listen();
}
bootstrap();
