export const APP = 'shop';
export const VERSION = 2;
export const EVENTS = `${APP}.v${VERSION}`;
export const QUOTED = `say "hi" 'there'`;
