import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { CreateInvoiceDto } from './create-invoice.dto';

@Controller()
export class InvoicesController {
  @MessagePattern({ cmd: 'createInvoice' })
  create(@Payload() dto: CreateInvoiceDto) {
    return { id: 1, ...dto };
  }

  @MessagePattern({ cmd: 'findInvoice' })
  find(@Payload() id: number) {
    return { id };
  }

  @EventPattern('order.placed')
  placed(@Payload() order: { id: number }) {
    console.log('placed', order.id);
  }
}
