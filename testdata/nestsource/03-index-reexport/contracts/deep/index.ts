export const ORDER_DELETED = 'order.deleted';
