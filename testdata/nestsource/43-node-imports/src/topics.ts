export const HASH = 'node.hash';
export const EXT = 'node.ext';
