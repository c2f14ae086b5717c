import { A_NAME } from './a';
export * from './a';
export const B_NAME = 'circular.b';
export const fromA = () => B_NAME + '+' + A_NAME;
