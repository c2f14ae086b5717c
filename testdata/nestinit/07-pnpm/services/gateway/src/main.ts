import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';

async function bootstrap() {
  const app = await NestFactory.create(AppModule, { logger: [process.env.LOG_LEVEL as any ?? 'log'] });
  await app.listen(+process.env.PORT!);
}
bootstrap();
