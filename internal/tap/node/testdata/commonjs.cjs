// A service in CommonJS and its client, which require NestJS: `node commonjs.cjs FOLDER PORT`. NestJS 12 is ESM. Connections
// are instrumented, as OpenTelemetry does it.
'use strict';
const { Socket } = require('node:net');
const { connect } = Socket.prototype;
let connections = 0;
Socket.prototype.connect = function instrumented() {
  connections++;
  return connect.apply(this, arguments);
};
Object.defineProperty(Socket.prototype.connect, '__original', { value: connect });

const { createRequire } = require('node:module');
const { join } = require('node:path');

const from = createRequire(join(process.argv[2], 'package.json'));
from('reflect-metadata');
const { Controller, Module } = from('@nestjs/common');
const { NestFactory } = from('@nestjs/core');
const { ClientProxyFactory, MessagePattern, Transport } = from('@nestjs/microservices');
const { firstValueFrom } = from('rxjs');

class AppController {
  fail() {
    throw new Error('original error');
  }
}
Controller()(AppController);
const { prototype } = AppController;
MessagePattern('fail')(prototype, 'fail', Object.getOwnPropertyDescriptor(prototype, 'fail'));
class AppModule {}
Module({ controllers: [AppController] })(AppModule);

async function main() {
  const options = { host: '127.0.0.1', port: Number(process.argv[3]) };
  const app = await NestFactory.createMicroservice(AppModule, { transport: Transport.TCP, options, logger: false });
  await app.listen();
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  try {
    await firstValueFrom(client.send('fail', {}));
  } catch (error) {
    console.log(JSON.stringify(error));
  }
  client.close();
  await app.close();
  console.log(`${connections} connections`);
}
main();
