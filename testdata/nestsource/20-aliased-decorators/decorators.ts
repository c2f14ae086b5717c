export { MessagePattern as Ask, EventPattern } from '@nestjs/microservices';
import { EventPattern as Ev } from '@nestjs/microservices';
export const Tell = Ev;
export default Ev;
