export const PREFIX = process.env.MSCTL_TEST_PREFIX ?? 'env';
export const QUEUE = process.env['MSCTL_TEST_QUEUE'] || `${PREFIX}.queue`;
export const known = { a: 'env.known', b: process.env.MSCTL_TEST_B ?? 'env.b' };
