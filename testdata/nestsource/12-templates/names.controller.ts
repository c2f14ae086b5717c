import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { APP, EVENTS, QUOTED, VERSION } from './names';

@Controller()
export class NamesController {
  @EventPattern(`${EVENTS}.created`) created() {}
  @EventPattern(EVENTS + '.deleted') deleted() {}
  @EventPattern(APP + '.' + VERSION + '.' + true) plus() {}
  @EventPattern(`${APP}${`.${'nested'}`}`) nested() {}
  @MessagePattern({ cmd: `${APP}:${VERSION * 10 + 1}` }) math() {}
  @MessagePattern(QUOTED) quoted() {}
  @MessagePattern(String.raw`raw\n${APP}`) raw() {}
  @MessagePattern(`two
lines`) lines() {}
  @MessagePattern(`\${APP} \`tick\``) escaped() {}
}
