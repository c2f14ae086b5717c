export const ALPHA = 'named.alpha';
