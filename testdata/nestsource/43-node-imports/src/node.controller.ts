import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { HASH } from '#topics';
import { LIB } from '#lib/names';
import { FOLDER } from './folder/index.js';
import { MODERN } from './modern.mjs';
import { EXT } from './topics.js';

@Controller()
export class NodeController {
  @MessagePattern(HASH) hash() {}
  @MessagePattern(LIB) lib() {}
  @MessagePattern(EXT) ext() {}
  @MessagePattern(MODERN) modern() {}
  @MessagePattern(FOLDER) folder() {}
}
