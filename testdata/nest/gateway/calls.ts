import { HttpException } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { catchError, firstValueFrom, Observable, throwError, timeout } from 'rxjs';
import { settings } from './settings';

/** Sends a message, and returns the only value of its reply. */
export function call(client: ClientProxy, cmd: string, data: unknown): Promise<unknown> {
  return firstValueFrom(values(client, cmd, data));
}

/** Sends a message. The error of a service becomes an HTTP exception with its status and message, and any other failure is 503. */
export function values(client: ClientProxy, cmd: string, data: unknown): Observable<unknown> {
  return client.send({ cmd }, data).pipe(
    timeout(settings.timeout),
    catchError(error => throwError(() => (typeof error?.status === 'number'
      ? new HttpException(error.message, error.status)
      : new HttpException('Microservice unavailable', 503)))),
  );
}
