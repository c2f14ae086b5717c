export class CartTopics {
  static readonly Add = 'cart.add';
  static readonly Events = { emptied: 'cart.emptied' } as const;
}
