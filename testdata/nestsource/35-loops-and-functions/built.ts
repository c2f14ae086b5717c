export const topics: Record<string, string> = {};
for (const name of ['created', 'deleted']) {
  topics[name] = `built.${name}`;
}
export const list: string[] = [];
for (let i = 0; i < 3; i++) list.push('list.' + i);
['x', 'y'].forEach(name => list.push(`each.${name}`));

export let changed = 'before';
changed = 'after';

export const registry: any = { a: 'old' };
registry.a = 'new.a';
registry['b'] = 'new.b';
Object.assign(registry, { c: 'new.c' });

export function topic(entity: string, action: 'add' | 'remove' = 'add') {
  if (entity === '') {
    throw new Error('no entity');
  }
  const parts = [entity];
  switch (action) {
    case 'remove':
      parts.push('removed');
      break;
    default:
      parts.push('added');
  }
  return parts.join('/');
}
export const camel = (name: string) => name.split('-').map((p, i) => (i ? p[0].toUpperCase() + p.slice(1) : p)).join('');
export const pick = function (n: number): string {
  let out = '';
  while (out.length < n) out += 'ab';
  return out;
};
export const recursive = (n: number): string => (n <= 0 ? 'end' : `${n}.${recursive(n - 1)}`);
