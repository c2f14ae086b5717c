// Message handlers that fail, in every way NestJS tells apart (docs/wire.md, 1.2).
import { ms, common, rxjs } from './nest.mjs';

const { RpcException } = ms;
const { of, throwError, timer, concat, mergeMap } = rxjs;
const cmd = name => ({ cmd: name });
const rpc = (name, make) => [cmd(name), () => { throw new RpcException(make()); }];
const thrown = (name, make) => [cmd(name), () => { throw make(); }];

class DomainError extends Error {
  constructor(message) {
    super(message);
    this.name = 'DomainError';
    this.code = 'E_DOMAIN';
  }
}
class SubclassedRpcException extends RpcException {}

export const errorHandlers = [
  rpc('rpcString', () => 'boom string'),
  rpc('rpcEmptyString', () => ''),
  rpc('rpcObject', () => ({ code: 404, message: 'not found', extra: { a: [1] } })),
  rpc('rpcObjectStatus', () => ({ status: 'fail', code: 7 })),
  rpc('rpcEmptyObject', () => ({})),
  rpc('rpcArray', () => [1, 2]),
  rpc('rpcNumber', () => 123),
  rpc('rpcBoolean', () => false),
  rpc('rpcNull', () => null),
  rpc('rpcUndefined', () => undefined),
  rpc('rpcError', () => new Error('inner error')),
  rpc('rpcObjectUndefined', () => ({ code: 1, gone: undefined, n: null })),
  thrown('rpcSubclass', () => new SubclassedRpcException({ code: 'SUB', message: 'sub' })),
  thrown('error', () => new Error('plain error')),
  thrown('typeError', () => new TypeError('type error')),
  thrown('domainError', () => new DomainError('domain')),
  thrown('http404', () => new common.NotFoundException('no such thing')),
  thrown('http500', () => new common.InternalServerErrorException()),
  thrown('throwString', () => 'a string'),
  thrown('throwObject', () => ({ code: 1, message: 'obj' })),
  thrown('throwNull', () => null),
  thrown('throwUndefined', () => undefined),
  [cmd('rejectRpc'), () => Promise.reject(new RpcException('rejected rpc'))],
  [cmd('rejectError'), () => Promise.reject(new Error('rejected error'))],
  [cmd('observableError'), () => throwError(() => new Error('observable error'))],
  [cmd('observableRpc'), () => throwError(() => new RpcException({ code: 9, message: 'observable rpc' }))],
  [cmd('observableRaw'), () => throwError(() => ({ raw: true, message: 'raw' }))],
  [cmd('streamThenError'), () => concat(of(1, 2), throwError(() => new RpcException('stream failed')))],
  [cmd('streamThenLateError'), data => concat(of(1, 2), timer(data?.delay ?? 30).pipe(mergeMap(() => throwError(() => new RpcException('stream failed late')))))],
];
