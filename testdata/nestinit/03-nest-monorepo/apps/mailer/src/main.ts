import { mail } from '@app/contracts';
import { NestFactory } from '@nestjs/core';
import { MailerModule } from './mailer.module';

async function bootstrap() {
  const app = await NestFactory.createMicroservice(MailerModule, mail());
  await app.listen();
}
bootstrap();
