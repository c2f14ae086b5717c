import { Reports } from '@app/contracts';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';

@Controller()
export class ReportsController {
  @MessagePattern(Reports.Monthly)
  monthly() {
    return { items: 0 };
  }
}
