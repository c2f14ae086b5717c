import { Body, Controller, Get, Inject, Param, Post } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { ApiBearerAuth, ApiProperty, ApiTags } from '@nestjs/swagger';
import { IsIn, IsString } from 'class-validator';
import { lastValueFrom } from 'rxjs';
import { call, resilientCall } from './calls';

export class CreateReportDto {
  @ApiProperty()
  @IsString()
  @IsIn(['sales', 'stock'])
  kind!: string;
}

@ApiTags('reports')
@ApiBearerAuth()
@Controller('reports')
export class ReportsController {
  constructor(@Inject('REPORTS') private readonly reports: ClientProxy, @Inject('WORKER') private readonly worker: ClientProxy) {}

  /** Creates a report, which the worker writes later. */
  @Post()
  async create(@Body() dto: CreateReportDto) {
    const report = await call<{ id: string; kind: string }>(this.reports, 'createReport', dto);
    await lastValueFrom(this.worker.emit('report.v1.created', { id: report.id, kind: report.kind }), { defaultValue: undefined });
    return report;
  }

  @Get()
  findAll() {
    return resilientCall(this.reports, 'findAllReports', {});
  }

  @Get(':id')
  findOne(@Param('id') id: string) {
    return call(this.reports, 'findOneReport', { id });
  }
}
