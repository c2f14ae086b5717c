export * from './orders';
export * as billing from './billing';
export { MAIL as Letter, default as Fallback } from './mail';
export { Twice };
import { Twice } from './twice';
