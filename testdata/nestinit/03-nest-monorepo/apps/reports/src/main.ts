import { tcp } from '@app/contracts';
import { NestFactory } from '@nestjs/core';
import { ReportsModule } from './reports.module';

async function bootstrap() {
  const app = await NestFactory.createMicroservice(ReportsModule, tcp('MS', 3003));
  await app.listen();
}
bootstrap();
