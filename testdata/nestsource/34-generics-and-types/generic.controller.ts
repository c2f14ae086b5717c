import { Controller, Inject, Optional, type OnModuleInit } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, type TcpContext } from '@nestjs/microservices';
import type { Observable } from 'rxjs';

type Fn<in out T> = <const U extends T>(value: U, ...rest: U[]) => asserts value is U & { readonly [K in keyof T as `get${string & K}`]?: T[K] };
type Cond<T> = T extends (infer U extends string)[] ? U : T extends { a: infer A } ? A : never;
interface Box<T = {}> { (x: T): void; new (x: T): Box<T>; readonly value?: T; [key: string]: unknown; method<K>(this: Box<T>, k: K): k is K }
const brand: unique symbol = Symbol('brand');
declare module 'nowhere' { export const x: number }
declare global { interface Window { y: 1 } }
abstract class Generic<T extends object, K extends keyof T = keyof T> {
  declare readonly map: Map<K, Array<Cond<T[]>>>;
  protected abstract pick<P extends K>(key: P): T[P];
  accessor count = 1;
  get value(): number { return 1 < 2 ? 1 : 2 }
  set value(v) { void v }
}
const compare = (a: number, b: number): any => a < b && b > (a as any);
const arrow = async <T,>(x: T): Promise<T> => x;
const conditional = true ? (x: number) => x : (y: number): number => y;
function over(a: string): string;
function over(a: number): number;
function over(a: any) { return a }
label: for (const k in { a: 1 }) { if (k) continue label; }
let x = 1 as const, y = <any>x, z = y!;

@Controller({ path: 'generic' })
export class GenericController<T extends Record<string, unknown> = {}> extends (Generic as any) implements OnModuleInit {
  private readonly cache = new Map<string, Array<T>>();
  #secret = 1;
  static #count = 0;
  constructor(@Optional() @Inject('X') private readonly service?: Record<'a' | 'b', (() => void)[]>, @Optional() @Inject('Y') readonly other: number = 1) { super(); }
  onModuleInit(): void {}
  @MessagePattern<string>('generic.call') call<K extends keyof T>(@Payload() data: T[K], @Ctx() ctx: TcpContext): Observable<T> | null { return null }
  @MessagePattern('generic.async') async *stream(): AsyncGenerator<number> { yield* [1, 2] }
  @EventPattern('generic.optional') optional?(data?: { a: 1 } | [b: string, c?: number]): void {}
  @EventPattern('generic.destructured') destructured({ a, b: [c] = [1] }: { a?: number; b?: number[] } = {}, ...rest: unknown[]) { return a! + c + over(1) + compare(1, 2) }
  @MessagePattern('generic.in') in() { return '#secret' in this || #secret in this }
  @MessagePattern('generic.get') get() { return GenericController.#count }
  @MessagePattern('generic.static') static() {}
  async() {}
  @MessagePattern('generic.quoted') 'quoted-method'() {}
  @MessagePattern('generic.computed') ['computed' + 'Method']() {}
}
void [arrow, conditional, brand, x, y, z];
