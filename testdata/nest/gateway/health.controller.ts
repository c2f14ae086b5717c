import { Controller, Get } from '@nestjs/common';
import { MicroserviceOptions, Transport } from '@nestjs/microservices';
import { HealthCheck, HealthCheckService, MicroserviceHealthIndicator } from '@nestjs/terminus';
import { Public } from './access';
import { settings } from './settings';

@Public()
@Controller('health')
export class HealthController {
  constructor(private readonly health: HealthCheckService, private readonly service: MicroserviceHealthIndicator) {}

  @Get()
  @HealthCheck()
  check() { return this.health.check([this.ping('items', settings.items)]); }

  /** With a service that is down. */
  @Get('all')
  @HealthCheck()
  all() { return this.health.check([this.ping('items', settings.items), this.ping('reports', settings.reports)]); }

  private ping(name: string, options: { host: string; port: number }) {
    return () => this.service.pingCheck<MicroserviceOptions>(name, { transport: Transport.TCP, options, timeout: 2000 });
  }
}
