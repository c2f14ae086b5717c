export { default } from './object';
export { default as Renamed } from './enum';
