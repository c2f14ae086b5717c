export const MODERN = 'node.modern';
