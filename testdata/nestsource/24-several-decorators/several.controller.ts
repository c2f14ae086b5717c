import { Controller, Get, HttpCode, SetMetadata, UseInterceptors } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

class Pass { intercept(_: unknown, next: any) { return next.handle(); } }

@Controller('several')
@UseInterceptors(Pass)
export class SeveralController {
  @MessagePattern('several.message')
  @EventPattern('several.event')
  messageWins() {}

  @EventPattern('several.event.first')
  @MessagePattern('several.message.second')
  eventWins() {}

  @SetMetadata('a', { b: [1, 2] })
  @MessagePattern('several.between')
  @UseInterceptors(Pass)
  public async between(): Promise<string> { return ''; }

  @Get('http') @HttpCode(200)
  @MessagePattern({ cmd: 'several.http' })
  http() {}

  @Get() onlyHttp() {}

  @MessagePattern('several.twice.top')
  @MessagePattern('several.twice.bottom')
  twice() {}
}
