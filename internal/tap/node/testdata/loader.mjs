// A loader as tsx has it: it reads the sources of modules itself, CommonJS among them.
import { register } from 'node:module';

const hooks = `
import { readFile } from 'node:fs/promises';
export async function load(url, context, next) {
  const loaded = await next(url, context);
  return loaded.format === 'commonjs' && url.startsWith('file:') ? { ...loaded, source: await readFile(new URL(url)) } : loaded;
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
