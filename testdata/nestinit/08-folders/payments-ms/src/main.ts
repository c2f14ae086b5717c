import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MicroserviceOptions, Transport } from '@nestjs/microservices';
import { AppModule } from './app.module';
import { envs } from './config';

async function bootstrap() {
  const logger = new Logger('Payments-ms');
  const app = await NestFactory.create(AppModule, { rawBody: true });
  app.connectMicroservice<MicroserviceOptions>(
    { transport: Transport.NATS, options: { servers: envs.natsServers } },
    { inheritAppConfig: true },
  );
  await app.startAllMicroservices();
  await app.listen(envs.port);
  logger.log(`Payments Microservice running on port ${envs.port}`);
}
bootstrap();
