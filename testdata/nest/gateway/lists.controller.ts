import { Controller, Get, Headers, Inject, Query, Req, Res, Sse } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { map } from 'rxjs';
import { Public } from './access';
import { call, values } from './calls';
import { CursorDto, PageDto } from './dto';

/** The query of a request with other parameters. */
function link(query: object, changes: object): string {
  const all = new URLSearchParams({ ...query, ...changes } as Record<string, string>);
  all.sort();
  return `?${all}`;
}

/** Lists in pages, lists that are compressed, and server-sent events. */
@Public()
@Controller()
export class ListsController {
  constructor(@Inject('ITEMS') private readonly items: ClientProxy) {}

  @Get('pages')
  async page(@Query() dto: PageDto, @Req() request: any, @Res({ passthrough: true }) response: any) {
    const found: any = await call(this.items, 'findPage', dto);
    const at = (offset: number) => link(request.query, { offset });
    const offset = dto.offset ?? 0;
    response.set('X-Total-Count', String(found.total)).links({
      first: at(0),
      ...(offset > 0 && { prev: at(Math.max(0, offset - dto.limit)) }),
      ...(offset + dto.limit < found.total && { next: at(offset + dto.limit) }),
      last: at(Math.floor((found.total - 1) / dto.limit) * dto.limit),
    });
    return found;
  }

  @Get('cursors')
  async cursor(@Query() dto: CursorDto, @Req() request: any, @Res({ passthrough: true }) response: any) {
    const found: any = await call(this.items, 'findPage', dto);
    if (found.next) response.links({ next: link(request.query, { cursor: found.next }) });
    return found;
  }

  @Get('compressed/many')
  many() { return call(this.items, 'findMany', {}); }

  @Get('compressed/few')
  few() { return call(this.items, 'findAllItems', {}); }

  @Sse('compressed/watch')
  compressedEvents() { return this.events('watchItems', {}); }

  @Sse('watch')
  watch(@Headers('last-event-id') last?: string) { return this.events('watchItems', { last }); }

  @Sse('watch/texts')
  texts() { return this.events('watchTexts', {}); }

  @Sse('watch/broken')
  broken() { return this.events('watchBroken', {}); }

  @Sse('watch/refused')
  refused() { return this.events('watchRefused', {}); }

  private events(cmd: string, data: unknown) {
    return values(this.items, cmd, data).pipe(map((value: any) => ({ data: value })));
  }
}
