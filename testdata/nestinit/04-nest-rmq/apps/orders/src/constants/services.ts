export const BILLING_SERVICE = 'BILLING';
