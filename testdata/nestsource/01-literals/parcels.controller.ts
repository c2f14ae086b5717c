import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';

@Controller()
export class ParcelsController {
  @MessagePattern('parcel.weigh') weigh() {}
  @MessagePattern("parcel.label") label() {}
  @MessagePattern(`parcel.seal`) seal() {}
  @MessagePattern({ cmd: 'pack' }) pack() {}
  @MessagePattern({ cmd: 'find', version: 2, draft: false, owner: null }) find() {}
  @MessagePattern({ 'quoted-key': 'a', "it's": 'b', 7: 'c', nested: { deep: ['x', 1] } }) odd() {}
  @MessagePattern('cmd:looks-like-an-object') text() {}
  @MessagePattern('tab\there \u00e9 \x41 \u{1F4E6} it\'s') escapes() {}
  @MessagePattern({ cmd: 'trailing', }, ) trailing() {}
  @MessagePattern('') empty() {}
  @EventPattern('parcel.weighed') weighed() {}
  @EventPattern({ event: 'sealed' }) sealed() {}
}
