export const LEGACY = ['many.old', 'many.older'];
export const MIXED = [{ cmd: 'many.object' }, 'many.string', 12];
