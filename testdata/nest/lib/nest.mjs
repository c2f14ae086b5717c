// Finds the NestJS of the folder NEST_DIR and hands out its modules. NestJS 12 is ESM, 10 and 11 are CommonJS.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const nestDir = resolve(process.env.NEST_DIR || join(root, 'v12'));
const require = createRequire(join(nestDir, 'package.json'));

/** True when the nearest package.json declares .js files as ES modules. */
function isModule(file) {
  if (file.endsWith('.mjs')) return true;
  for (let dir = dirname(file); ; dir = dirname(dir)) {
    try {
      return JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')).type === 'module';
    } catch {
      if (dir === dirname(dir)) return false;
    }
  }
}

/** Loads a package of the chosen NestJS folder, whichever module system it uses. */
export async function load(name) {
  const file = require.resolve(name);
  return isModule(file) ? import(pathToFileURL(file)) : require(file);
}

await load('reflect-metadata');
export const core = await load('@nestjs/core');
export const common = await load('@nestjs/common');
export const ms = await load('@nestjs/microservices');
export const rxjs = await load('rxjs');
export const version = JSON.parse(readFileSync(join(nestDir, 'node_modules/@nestjs/microservices/package.json'), 'utf8')).version;
