export class Base {
  static readonly prefix = 'static';
  protected static inherited = Base.prefix + '.inherited';
  static get computed() { return `${this.prefix}.getter`; }
  static of(name: string) { return `${this.prefix}.${name}`; }
}
export class Patterns extends Base {
  static readonly List: string = 'static.list';
  static readonly Nested = { find: { cmd: 'static.find' } } as const;
  static readonly Own = Patterns.List + '.own';
  static ['computed-key'] = 'static.key';
  static late: string;
  static shared = Base.inherited;
  static {
    this.late = 'static.late';
  }
}
