import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { NestFactory } from '@nestjs/core';
import { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import compression from 'compression';
import { AppModule } from './app.module';
import { settings } from './settings';

export async function bootstrap() {
  const app = await NestFactory.create<NestExpressApplication>(AppModule, { rawBody: true, logger: ['fatal'] });
  app.useBodyParser('json', { type: ['application/json', 'application/vnd.shop+json'] });
  app.use('/compressed', compression());
  app.enableCors();
  const config = new DocumentBuilder().setTitle('Shop').setDescription('The API of the shop').setVersion('1.0').addBearerAuth().build();
  SwaggerModule.setup('api', app, SwaggerModule.createDocument(app, config));
  await app.listen(settings.port, '127.0.0.1');
  if (settings.tls.port) listenTLS(app);
  return app;
}

/** Serves HTTPS on a second port, as in NestJS's documentation of multiple servers. */
function listenTLS(app: NestExpressApplication) {
  const { cert, key, port } = settings.tls;
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, app.getHttpAdapter().getInstance());
  server.listen(port, '127.0.0.1').unref();
}
