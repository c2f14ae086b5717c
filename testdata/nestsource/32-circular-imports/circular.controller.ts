import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { fromB } from './a';
import { A_NAME, B_NAME, fromA } from './b';

@Controller()
export class CircularController {
  @MessagePattern(A_NAME) a() {}
  @MessagePattern(B_NAME) b() {}
  @MessagePattern(fromA()) fromA() {}
  @MessagePattern(fromB()) fromB() {}
}
