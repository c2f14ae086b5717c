export * from './envs';
export * from './services';
