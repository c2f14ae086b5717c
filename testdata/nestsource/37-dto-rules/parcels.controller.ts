import { Body, Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RmqContext } from '@nestjs/microservices';
import { CreateParcelDto } from './dto';

@Controller()
export class ParcelsController {
  @MessagePattern({ cmd: 'parcel.create' }) create(@Payload() dto: CreateParcelDto, @Ctx() _context: RmqContext): Promise<{ id: number }> { return Promise.resolve({ id: dto.weight }); }
  @MessagePattern('parcel.bare') bare(dto: CreateParcelDto) { return dto; }
  @MessagePattern('parcel.many') many(@Payload() all: CreateParcelDto[]): number { return all.length; }
  @MessagePattern('parcel.part') part(@Payload('label') label: string, @Payload('weight') weight?: number): string { return label + weight; }
  @EventPattern('parcel.context') context(@Ctx() _context: RmqContext): void {}
  @EventPattern('parcel.nothing') nothing() {}
  @MessagePattern('parcel.http') http(@Body() body: CreateParcelDto) { return body; }
}
