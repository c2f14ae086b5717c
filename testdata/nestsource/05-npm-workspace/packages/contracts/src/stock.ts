export const STOCK = Object.freeze({ low: 'stock.low' });
