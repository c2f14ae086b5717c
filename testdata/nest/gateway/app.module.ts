import { Module, ValidationPipe } from '@nestjs/common';
import { APP_GUARD, APP_PIPE } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { ClientsModule, Transport } from '@nestjs/microservices';
import { TerminusModule } from '@nestjs/terminus';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { AuthGuard, RolesGuard } from './access';
import { HealthController } from './health.controller';
import { ItemsController } from './items.controller';
import { ListsController } from './lists.controller';
import { settings } from './settings';
import { WebhookController } from './webhook.controller';

@Module({
  imports: [
    ClientsModule.register([
      { name: 'ITEMS', transport: Transport.TCP, options: settings.items },
      { name: 'REPORTS', transport: Transport.TCP, options: settings.reports },
    ]),
    JwtModule.register({}),
    TerminusModule.forRoot({ logger: false }),
    ThrottlerModule.forRoot([
      { ttl: 60_000, limit: settings.limit },
      ...(settings.shortLimit ? [{ name: 'short', ttl: 3_600_000, limit: settings.shortLimit }] : []),
    ]),
  ],
  controllers: [ItemsController, ListsController, WebhookController, HealthController],
  providers: [
    { provide: APP_GUARD, useClass: ThrottlerGuard },
    { provide: APP_GUARD, useClass: AuthGuard },
    { provide: APP_GUARD, useClass: RolesGuard },
    { provide: APP_PIPE, useValue: new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }) },
  ],
})
export class AppModule {}
