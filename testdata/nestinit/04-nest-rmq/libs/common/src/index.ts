export * from './rmq/rmq.module';
export * from './rmq/rmq.service';
