import { Controller, Get } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';

class ReserveDto {
  seat: string;
  guests?: number;
}

@Controller()
export class TicketsController {
  constructor(private readonly config: ConfigService) {}

  @Get('health')
  health() {
    return { status: 'ok', signed: Boolean(this.config.get('JWT_SECRET')) };
  }

  @MessagePattern('ticket.reserve')
  reserve(@Payload() dto: ReserveDto) {
    return { ...dto, reserved: true };
  }

  @EventPattern('ticket.expired')
  expired(@Payload() id: number) {
    console.log('expired', id);
  }
}
