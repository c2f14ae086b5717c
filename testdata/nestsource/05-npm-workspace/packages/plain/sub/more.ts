export const MORE = 'plain.more';
