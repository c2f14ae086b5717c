export { CartTopics } from './cart';
export * from './stock';
