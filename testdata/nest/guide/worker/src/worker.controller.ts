import { Controller, Logger } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RmqContext } from '@nestjs/microservices';
import { IsString } from 'class-validator';

export class ReportCreated {
  @IsString()
  id!: string;

  @IsString()
  kind!: string;
}

/** The work that no user waits for. A message is acknowledged once its work is done. */
@Controller()
export class WorkerController {
  private readonly logger = new Logger(WorkerController.name);
  private readonly done: ReportCreated[] = [];

  @EventPattern('report.v1.created')
  reportCreated(@Payload() report: ReportCreated, @Ctx() context: RmqContext) {
    this.logger.log(`writing the ${report.kind} report ${report.id}`);
    this.done.push(report);
    context.getChannelRef().ack(context.getMessage());
  }

  @EventPattern('webhook.v1.received')
  webhookReceived(@Payload() event: Record<string, unknown>, @Ctx() context: RmqContext) {
    this.logger.log(`webhook ${JSON.stringify(event)}`);
    context.getChannelRef().ack(context.getMessage());
  }

  /** Which reports were written. */
  @MessagePattern({ cmd: 'findAllWrittenReports' })
  findAll(@Ctx() context: RmqContext): ReportCreated[] {
    context.getChannelRef().ack(context.getMessage());
    return this.done;
  }
}
