import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { ROOT } from '@contracts';
import { SPECIAL } from '@contracts/special/topics';
import { Users } from '@contracts/users';
import NAME from 'src/plain/names';

@Controller()
export class UsersController {
  @MessagePattern(ROOT) root() {}
  @MessagePattern(Users.Find) find() {}
  @MessagePattern(SPECIAL) special() {}
  @EventPattern(NAME) named() {}
}
