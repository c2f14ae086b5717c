export * from './deep';
export const ORDER_CREATED = 'order.created';
