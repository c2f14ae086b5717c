import * as common from '@nestjs/common';
import { MessagePattern as On } from '@nestjs/microservices';
import * as rpc from '@nestjs/microservices';
import Default, { Ask, EventPattern, Tell } from './decorators';
import { wild } from './wild';

const { MessagePattern: Picked } = rpc;
const table = { Message: On };

@common.Controller()
export class AliasedController {
  @On('alias.renamed') renamed() {}
  @rpc.MessagePattern('alias.namespace') namespace() {}
  @(rpc['EventPattern'])('alias.element') element() {}
  @Ask('alias.reexported') reexported() {}
  @EventPattern('alias.same') same() {}
  @Tell('alias.constant') constant() {}
  @Default('alias.default') byDefault() {}
  @Picked('alias.picked') picked() {}
  @table.Message('alias.table') table() {}
  @wild.EventPattern('alias.wild') wild() {}
}
