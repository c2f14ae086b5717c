import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { firstValueFrom, from, interval, type Observable, of } from 'rxjs';
import * as rx from 'rxjs';
import { map, take } from 'rxjs/operators';

@Controller()
export class StreamsController {
  @MessagePattern('stream.typed') typed(): Observable<number> { return from([1, 2]); }
  @MessagePattern('stream.promise') promise(): Promise<Observable<{ tick: number }>> { return Promise.resolve(of({ tick: 1 })); }
  @MessagePattern('stream.inferred') inferred() { return interval(10).pipe(take(2), map(n => n * 2)); }
  @MessagePattern('stream.namespace') namespaced() { return rx.from(['a']); }
  @MessagePattern('stream.generator') async *generator(): AsyncGenerator<string> { yield 'x'; }
  @MessagePattern('stream.iterable') iterable(): AsyncIterable<string> { return this.generator(); }
  @MessagePattern('single.value') single() { return firstValueFrom(of(1)); }
  @MessagePattern('single.callback') callback() { return [1].map(() => { return of(1); }).length; }
  @MessagePattern('single.array') array(): string[] { return []; }
}
