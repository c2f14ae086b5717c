import { NestFactory } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { AppModule } from './app.module';
import { settings } from './settings';

export async function bootstrap() {
  const app = await NestFactory.create(AppModule, { rawBody: true, logger: ['fatal'] });
  app.enableCors();
  const config = new DocumentBuilder().setTitle('Shop').setDescription('The API of the shop').setVersion('1.0').addBearerAuth().build();
  SwaggerModule.setup('api', app, SwaggerModule.createDocument(app, config));
  await app.listen(settings.port, '127.0.0.1');
  return app;
}
