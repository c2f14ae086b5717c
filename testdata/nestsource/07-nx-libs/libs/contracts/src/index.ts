export * from './lib/depot.contract';
