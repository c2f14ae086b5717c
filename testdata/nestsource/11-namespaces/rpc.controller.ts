import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { A, Rpc, Topic, topic } from './rpc';
import Users = Rpc.Users;

@Controller()
export class RpcController {
  @MessagePattern(Rpc.Ping) ping() {}
  @MessagePattern(Rpc.Pong) pong() {}
  @MessagePattern(Users.Find) find() {}
  @EventPattern(Users.Events.Created) created() {}
  @EventPattern(A.B.C.Deep) deep() {}
  @MessagePattern({ a: Topic.first, b: Topic.second }) topic() {}
  @MessagePattern({ a: topic(), b: topic.member }) called() {}
}
