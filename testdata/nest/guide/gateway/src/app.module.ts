import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { ClientsModule } from '@nestjs/microservices';
import { TerminusModule } from '@nestjs/terminus';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { AuthGuard, RolesGuard } from './auth.guard';
import { HealthController } from './health.controller';
import { ItemsController } from './items.controller';
import { OrdersController } from './orders.controller';
import { ReportsController } from './reports.controller';
import { items, orders, reports, worker } from './settings';
import { WebhookController } from './webhook.controller';

@Module({
  imports: [
    ClientsModule.register([items, reports, orders, worker]),
    JwtModule.register({ secret: process.env.JWT_SECRET }),
    TerminusModule.forRoot({ logger: false }),
    ThrottlerModule.forRoot([{ ttl: 60_000, limit: Number(process.env.RATE_LIMIT ?? 100) }]),
  ],
  controllers: [ItemsController, OrdersController, ReportsController, WebhookController, HealthController],
  providers: [
    { provide: APP_GUARD, useClass: ThrottlerGuard },
    { provide: APP_GUARD, useClass: AuthGuard },
    { provide: APP_GUARD, useClass: RolesGuard },
  ],
})
export class AppModule {}
