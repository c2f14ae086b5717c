// Runs the NestJS application of each folder of TypeScript sources, and prints the handlers that it registers, one JSON line
// for each folder: node register.mjs FOLDER…
//
// A folder has one app.module.ts, which exports AppModule. TypeScript compiles each file when it is required, and resolves
// the imports, so that path aliases and packages of a workspace work as in the project's own build.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { common, core, ms, nestDir } from './lib/nest.mjs';
import { compile, require } from './lib/typescript.mjs';

/** The source of a package of the workspace: what its build would write does not exist. */
function packageSource(file, spec) {
  for (let dir = dirname(file); dir.includes('nestsource'); dir = dirname(dir)) {
    const map = join(dir, 'sources.json');
    if (existsSync(map)) {
      const path = JSON.parse(readFileSync(map, 'utf8'))[spec];
      return path && join(dir, path);
    }
  }
}

compile(file => file.includes('nestsource'), packageSource);

/** A transport that only records what NestJS registers. */
class Recorder extends ms.Server {
  handlers = [];
  addHandler(pattern, _callback, isEvent = false, extras = {}) {
    this.handlers.push({ route: this.normalizePattern(pattern), event: isEvent, extras });
  }
  listen(callback) { callback(); }
  close() {}
  on() {}
  unwrap() {}
}

/** JSON with the keys of JavaScript's undefined, which JSON does not have. */
const text = value => (value === undefined ? 'undefined' : typeof value === 'number' && !Number.isFinite(value) ? JSON.stringify(String(value)) : JSON.stringify(value));

/** The handlers of the controllers, from the metadata that NestJS reads. */
function explore(app) {
  const explorer = new ListenerMetadataExplorer(new core.MetadataScanner());
  const found = [];
  for (const module of app.get(core.ModulesContainer).values()) {
    for (const { instance, metatype } of module.controllers.values()) {
      for (const h of explorer.explore(instance)) {
        for (const pattern of h.patterns) {
          found.push({ pattern: text(pattern), event: h.isEventHandler, class: metatype.name, method: h.methodKey, transport: ms.Transport[h.transport], extras: h.extras && Object.keys(h.extras).length ? h.extras : undefined });
        }
      }
    }
  }
  return found;
}

const { ListenerMetadataExplorer } = await import(join(nestDir, 'node_modules/@nestjs/microservices/listener-metadata-explorer.js'));

function findModule(dir) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isFile() && entry.name === 'app.module.ts') return path;
    const inside = entry.isDirectory() && findModule(path);
    if (inside) return inside;
  }
}

for (const dir of process.argv.slice(2)) {
  const { AppModule } = require(findModule(resolve(dir)));
  const recorder = new Recorder();
  const app = await core.NestFactory.createMicroservice(AppModule, { strategy: recorder, logger: ['error'] });
  await app.listen();
  const handlers = explore(app);
  const order = h => [h.class, h.method, h.pattern].join(' ');
  handlers.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  if (handlers.length !== recorder.handlers.length) throw new Error(`${dir}: ${handlers.length} handlers, but ${recorder.handlers.length} were registered`);
  console.log(JSON.stringify(handlers));
  await app.close();
}
