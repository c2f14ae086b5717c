export * from './patterns';
export * from './items.dto';
export * from './transports';
