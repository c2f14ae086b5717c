import { ConfigModule, ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { AsyncMicroserviceOptions, Transport } from '@nestjs/microservices';
import { AppModule } from './app.module';

async function bootstrap() {
  const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(AppModule, {
    useFactory: (config: ConfigService) => ({
      transport: Transport.REDIS,
      options: { host: config.get<string>('redis.host'), port: config.get<number>('redis.port') },
    }),
    inject: [ConfigService],
  });
  await app.listen();
}

void bootstrap();
