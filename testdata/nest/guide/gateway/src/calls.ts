import { HttpException, HttpStatus } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { catchError, firstValueFrom, retry, throwError, timeout } from 'rxjs';
import { callTimeout } from './settings';

/** Sends a message. The error of a service becomes an HTTP exception with its status and message, and any other failure is 503. */
export function call<T>(client: ClientProxy, cmd: string, data: unknown): Promise<T> {
  return firstValueFrom(
    client.send<T>({ cmd }, data).pipe(
      timeout(callTimeout),
      catchError(error =>
        throwError(() =>
          typeof error?.status === 'number'
            ? new HttpException(error.message, error.status)
            : new HttpException('Microservice unavailable', HttpStatus.SERVICE_UNAVAILABLE),
        ),
      ),
    ),
  );
}

/** Sends a message that may be handled twice, and sends it again if there is no result. */
export function resilientCall<T>(client: ClientProxy, cmd: string, data: unknown): Promise<T> {
  return firstValueFrom(
    client.send<T>({ cmd }, data).pipe(
      timeout(callTimeout),
      retry({ count: 2, delay: 1000 }),
      catchError(() => throwError(() => new HttpException('Service temporarily unavailable', HttpStatus.SERVICE_UNAVAILABLE))),
    ),
  );
}
