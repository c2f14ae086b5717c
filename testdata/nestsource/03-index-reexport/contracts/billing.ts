export const PAID = 'billing.paid';
export const Refund = { asked: 'billing.refund.asked' };
