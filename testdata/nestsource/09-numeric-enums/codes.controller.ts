import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { Code, Mixed } from './codes';

@Controller()
export class CodesController {
  @MessagePattern(Code.Zero) zero() {}
  @MessagePattern({ code: Code.One }) one() {}
  @MessagePattern(Code.Eleven) eleven() {}
  @MessagePattern({ code: Code.Negative, after: Code.After }) negative() {}
  @MessagePattern(Code.Shifted) shifted() {}
  @MessagePattern(Code.Sum) sum() {}
  @MessagePattern({ or: Code.FromOther, length: Code.Length }) other() {}
  @MessagePattern(Code[10]) reverse() {}
  @EventPattern({ text: Mixed.Text, next: Mixed.Next }) mixed() {}
}
