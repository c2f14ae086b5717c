#!/usr/bin/env node
// Starts a program of the folder guide, a system of NestJS programs as teams build them: gateway, items, reports, or worker.
// --env '{"NAME":"value"}' adds variables to its environment, and --port sets PORT or MS_PORT. A real project starts the
// programs with the Nest CLI, which needs many more packages.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, print } from './lib/args.mjs';
import { compile, require } from './lib/typescript.mjs';

const args = parseArgs();
if (args.port) Object.assign(process.env, { PORT: args.port, MS_PORT: args.port });
Object.assign(process.env, JSON.parse(args.env || '{}'));
const folder = join(dirname(fileURLToPath(import.meta.url)), 'guide', args.program, 'src');
compile(file => file.startsWith(folder));
await require(join(folder, 'main.ts')).started;
print({ event: 'listening' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
if (args['until-stdin-ends']) process.stdin.on('end', () => process.exit(0)).resume();
