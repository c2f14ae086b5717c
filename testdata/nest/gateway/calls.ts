import { HttpException } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { catchError, firstValueFrom, throwError, timeout } from 'rxjs';
import { settings } from './settings';

/** Sends a message. The error of a service becomes an HTTP exception with its status and message, and any other failure is 503. */
export function call(client: ClientProxy, cmd: string, data: unknown): Promise<unknown> {
  return firstValueFrom(client.send({ cmd }, data).pipe(
    timeout(settings.timeout),
    catchError(error => throwError(() => (typeof error?.status === 'number'
      ? new HttpException(error.message, error.status)
      : new HttpException('Microservice unavailable', 503)))),
  ));
}
