import { Controller, Get } from '@nestjs/common';
import { MicroserviceOptions } from '@nestjs/microservices';
import { HealthCheck, HealthCheckService, MicroserviceHealthIndicator } from '@nestjs/terminus';
import { Public } from './auth.guard';
import { callTimeout, watched } from './settings';

@Public()
@Controller('health')
export class HealthController {
  constructor(private readonly health: HealthCheckService, private readonly service: MicroserviceHealthIndicator) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check(
      watched.map(([name, options]) => () => this.service.pingCheck<MicroserviceOptions>(name, { ...options, timeout: callTimeout } as never)),
    );
  }
}
