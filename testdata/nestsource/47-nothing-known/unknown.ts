import { readFileSync } from 'node:fs';

export const fromFile: string = JSON.parse(readFileSync(__dirname + '/name.json', 'utf8')).name;
export const random = 'r' + (Date.now() > 0 ? '1' : '2');
export let counter = 0;
export function next() { return `next.${counter++}`; }
