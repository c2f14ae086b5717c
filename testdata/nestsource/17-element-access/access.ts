export const X = { Y: 'e.y', list: ['e.0', 'e.1'], deep: { 'a-b': { c: 'e.c' } }, optional: undefined as string | undefined };
export const NAME = 'Y';
