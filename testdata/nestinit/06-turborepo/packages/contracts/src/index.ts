export const POSTS = { publish: { cmd: 'publish', entity: 'post' }, feed: { cmd: 'feed', entity: 'post' } } as const;
export const POST_PUBLISHED = 'post.published';

export interface PublishPost {
  author: string;
  text: string;
}
