export namespace Depot {
  export const Open = { cmd: 'depot.open' };
  export enum Event { Opened = 'depot.opened' }
}
