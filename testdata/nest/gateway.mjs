#!/usr/bin/env node
// The NestJS gateway of the folder gateway, which has what such gateways usually have: ValidationPipe, Swagger, guards, the
// throttler, terminus, CORS, and the raw body of a webhook. Its services and secrets come from the environment
// (gateway/settings.ts), to which --env '{"NAME":"value"}' adds variables.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, print } from './lib/args.mjs';
import { compile, require } from './lib/typescript.mjs';

const args = parseArgs();
Object.assign(process.env, JSON.parse(args.env || '{}'), { GATEWAY_PORT: args.port });
const folder = join(dirname(fileURLToPath(import.meta.url)), 'gateway');
compile(file => file.startsWith(folder));
const app = await require(join(folder, 'main.ts')).bootstrap();
print({ event: 'listening' });
process.on('SIGINT', () => process.exit(0));
if (args['until-stdin-ends']) process.stdin.on('end', () => app.close().then(() => process.exit(0))).resume();
