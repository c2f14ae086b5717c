import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Transport } from '@nestjs/microservices';
import * as ms from '@nestjs/microservices';

const EXTRAS = { priority: 1 };

@Controller()
export class TransportsController {
  @MessagePattern('transport.tcp', Transport.TCP) tcp() {}
  @MessagePattern('transport.nats', Transport['NATS']) nats() {}
  @MessagePattern('transport.number', 5) rmq() {}
  @EventPattern('transport.kafka', ms.Transport.KAFKA) kafka() {}
  @EventPattern('transport.extras', { qos: 2 }) extras() {}
  @EventPattern('transport.both', Transport.MQTT, EXTRAS) both() {}
  @MessagePattern('transport.undefined', undefined, { ...EXTRAS, more: true }) none() {}
}
