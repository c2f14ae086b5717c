export * from './lib/patterns';
export * from './lib/nats';
