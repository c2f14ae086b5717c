import { randomUUID } from 'node:crypto';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { CreateReportDto } from './report.dto';

interface Report {
  id: string;
  kind: string;
  createdAt: Date;
}

/** The second domain, which is independent of the first one. */
@Controller()
export class ReportsController {
  private readonly reports = new Map<string, Report>();

  @MessagePattern({ cmd: 'createReport' })
  create(@Payload() { kind }: CreateReportDto): Report {
    const report = { id: randomUUID(), kind, createdAt: new Date() };
    this.reports.set(report.id, report);
    return report;
  }

  @MessagePattern({ cmd: 'findAllReports' })
  findAll(): Report[] {
    return [...this.reports.values()];
  }

  @MessagePattern({ cmd: 'findOneReport' })
  findOne(@Payload('id') id: string): Report {
    const report = this.reports.get(id);
    if (!report) throw new RpcException({ status: 404, message: `Report with ID ${id} not found` });
    return report;
  }
}
