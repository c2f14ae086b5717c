export const SPECIAL = 'special.topic';
