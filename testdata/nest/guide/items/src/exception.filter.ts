import { Catch, Logger, RpcExceptionFilter } from '@nestjs/common';
import { RpcException } from '@nestjs/microservices';
import { Observable, throwError } from 'rxjs';

/** Passes an RpcException to the caller as it is. Anything else is logged and leaves as an internal error. */
@Catch()
export class ServiceExceptionFilter implements RpcExceptionFilter {
  private readonly logger = new Logger(ServiceExceptionFilter.name);

  catch(exception: unknown): Observable<never> {
    if (exception instanceof RpcException) return throwError(() => exception.getError());
    this.logger.error(exception instanceof Error ? exception.stack : exception);
    return throwError(() => ({ status: 500, message: 'Internal microservice error', timestamp: new Date().toISOString() }));
  }
}
