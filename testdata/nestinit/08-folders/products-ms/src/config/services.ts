export const NATS_SERVICE = 'NATS_SERVICE';
