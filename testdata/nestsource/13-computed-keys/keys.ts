export const NS = 'ns';
export enum Key { Cmd = 'cmd', Role = 'role' }
export const ROUTES = { [NS]: 'x', [`${NS}.b`]: 'y', [Key.Cmd]: { [Key.Role]: 'z' }, 5: 'five', get lazy() { return 'lazy.' + NS; } };
