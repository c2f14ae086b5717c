export const LIB = 'node.lib';
