function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const key of Object.keys(value)) {
    const member = (value as any)[key];
    if (typeof member === 'object' && member !== null) deepFreeze(member);
  }
  return Object.freeze(value);
}
export const Frozen = deepFreeze({ a: { b: 'frozen.b' } });
export const ById = new Map<string, { cmd: string }>([['find', { cmd: 'map.find' }], ['list', { cmd: 'map.list' }]]);
export const Names = new Set(['set.a', 'set.b', 'set.a']);
const identity = <T>(value: T): T => value;
export const Defined = identity({ pattern: 'frozen.identity' } as const);
export class Pattern {
  readonly cmd: string;
  constructor(name: string, readonly version = 1) { this.cmd = 'new.' + name; }
  get route() { return `${this.cmd}/${this.version}`; }
  with(suffix: string) { return this.cmd + suffix; }
}
export const instance = new Pattern('instance');
