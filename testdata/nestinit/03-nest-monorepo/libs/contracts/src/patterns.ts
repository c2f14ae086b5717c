export const ITEMS = {
  CREATE: { cmd: 'createItem' },
  FIND_ALL: { cmd: 'findAllItems' },
} as const;

export enum Reports {
  Monthly = 'report.v1.monthly',
}

export enum Events {
  ItemCreated = 'item.v1.created',
}
