import { Controller } from '@nestjs/common';
import { GrpcMethod, GrpcStreamCall, GrpcStreamMethod } from '@nestjs/microservices';

const SERVICE = 'HeroService';

@Controller()
export class GrpcController {
  @GrpcMethod(SERVICE, 'FindOne') find() {}
  @GrpcMethod(SERVICE) findMany() {}
  @GrpcMethod() alone() {}
  @GrpcStreamCall(SERVICE, 'Call') call() {}
}
