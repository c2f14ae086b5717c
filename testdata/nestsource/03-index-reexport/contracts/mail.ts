export const MAIL = 'mail.sent';
const fallback = { pattern: { cmd: 'fallback' } };
export default fallback;
