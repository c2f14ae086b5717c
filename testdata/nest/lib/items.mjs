/** n items as internal/dev/peerbench has them too, member for member: 170 bytes of JSON each. */
export function items(n) {
  return Array.from({ length: n }, (_, i) => ({
    id: `item-${String(i).padStart(4, '0')}`,
    name: 'Stainless bottle',
    description: 'Keeps a drink cold for more than a full day',
    price: 19.95,
    quantity: 7,
    createdAt: '2026-01-31T10:00:00.000Z',
  }));
}
