export const MAX_WEIGHT = 30 * 1000;
