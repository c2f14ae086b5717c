export const SEP = '.';
export const A = 'a';
export const EVENTS = { created: 'ev.created', deleted: 'ev.deleted' } as const;
export enum Kind { One = 'kind.one', Two = 'kind.two' }
