import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import * as dto from './dto';
import type { Filter, Loose, Page, Slim, Tree } from './dto';
import { BothDto, LoginDto, PublicUserDto, UpdateUserDto } from './dto';

@Controller()
export class UsersController {
  @MessagePattern('user.update') update(@Payload() _data: UpdateUserDto): Promise<PublicUserDto | null> { return Promise.resolve(null); }
  @MessagePattern('user.public') publish(@Payload() _data: PublicUserDto) {}
  @MessagePattern('user.login') login(@Payload() _data: LoginDto) {}
  @MessagePattern('user.both') both(@Payload() _data: BothDto) {}
  @MessagePattern('user.page') page(@Payload() _data: Page<string>) {}
  @MessagePattern('user.filter') filter(@Payload() _data: Readonly<Filter> | undefined) {}
  @MessagePattern('user.slim') slim(@Payload() _data: Slim) {}
  @MessagePattern('user.loose') loose(@Payload() _data: Loose) {}
  @MessagePattern('user.tree') tree(@Payload() _data: Tree) {}
  @MessagePattern('user.inline') inline(@Payload() _data: { a: string; b?: number }) {}
  @MessagePattern('user.namespace') namespaced(@Payload() _data: dto.LoginDto) {}
  @MessagePattern('user.scalar') scalar(@Payload() _id: number) {}
}
