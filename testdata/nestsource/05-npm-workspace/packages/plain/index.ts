export const PLAIN = 'plain';
