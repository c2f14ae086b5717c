import { Controller, Inject } from '@nestjs/common';
import { ClientProxy, MessagePattern, Payload } from '@nestjs/microservices';
import { POST_PUBLISHED, POSTS, type PublishPost } from '@social/contracts';

@Controller()
export class PostsController {
  private readonly posts: PublishPost[] = [];

  constructor(@Inject('EVENTS') private readonly events: ClientProxy) {}

  @MessagePattern(POSTS.publish)
  publish(@Payload() post: PublishPost) {
    this.posts.push(post);
    this.events.emit(POST_PUBLISHED, post);
    return { id: this.posts.length };
  }

  @MessagePattern(POSTS.feed)
  feed() {
    return this.posts;
  }
}
