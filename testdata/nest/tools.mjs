// Starts an application of TypeScript sources as a development tool does, with NestJS and TypeScript of NEST_DIR:
//
//   node tools.mjs nest start [PROJECT] [--watch]
//   node tools.mjs nx serve PROJECT
//   node tools.mjs tsx [watch] FILE
//
// The tools themselves take many seconds to install and to compile. This program reads the same configuration files, compiles
// each file when it is loaded, and runs the same main file in the same folder; it does not watch.
import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compile, require } from './lib/typescript.mjs';

const read = path => JSON.parse(readFileSync(path, 'utf8'));

function nest([, ...args]) {
  const name = args.find(arg => !arg.startsWith('-'));
  const cli = existsSync('nest-cli.json') ? read('nest-cli.json') : {};
  const project = cli.projects?.[name];
  if (name && !project) throw new Error(`nest-cli.json has no project ${name}`);
  return join(project?.sourceRoot ?? cli.sourceRoot ?? 'src', `${project?.entryFile ?? cli.entryFile ?? 'main'}.ts`);
}

function nx([, name]) {
  for (const app of readdirSync('apps')) {
    const project = read(join('apps', app, 'project.json'));
    if (project.name === name) return project.targets.build.options.main;
  }
  throw new Error(`no project ${name}`);
}

const [tool, ...args] = process.argv.slice(2);
const main = { nest, nx, tsx: args => args.at(-1) }[tool](args);
const root = realpathSync(process.env.LAYOUT ?? '.');
compile(file => file.startsWith(root) && !file.includes('node_modules'), (from, spec) => {
  // A package of the workspace, which an install would link.
  const [scope, name] = spec.split('/');
  const folder = join(root, 'packages', name ?? scope);
  return existsSync(join(folder, 'package.json')) && read(join(folder, 'package.json')).name === spec ? join(folder, read(join(folder, 'package.json')).main) : undefined;
});
require(resolve(main));
