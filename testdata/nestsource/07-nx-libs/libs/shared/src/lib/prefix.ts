export const PREFIX = 'nx';
