import { B_NAME } from './b';
export const A_NAME = 'circular.a';
export const fromB = () => A_NAME + '+' + B_NAME;
