// Compiles TypeScript files when they are required, and resolves their imports as TypeScript does, so that path aliases and
// packages of a workspace work as in a project's own build.
import Module, { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nestDir } from './nest.mjs';

export const require = createRequire(join(nestDir, 'package.json'));
const ts = require('typescript');

const fixed = {
  module: ts.ModuleKind.CommonJS,
  target: ts.ScriptTarget.ES2022,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  esModuleInterop: true,
  isolatedModules: true,
  resolveJsonModule: true,
  useDefineForClassFields: false,
};

/** The compiler options of the nearest tsconfig.json, or tsconfig.base.json of Nx. */
function options(file, isOurs) {
  const exists = path => existsSync(path) && isOurs(path);
  const config = ts.findConfigFile(dirname(file), exists, 'tsconfig.json') ?? ts.findConfigFile(dirname(file), exists, 'tsconfig.base.json');
  if (!config) return fixed;
  const parsed = ts.getParsedCommandLineOfConfigFile(config, {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic() {} });
  return { ...parsed.options, ...fixed, moduleResolution: parsed.options.moduleResolution };
}

/**
 * Compiles what is required from now on. isOurs reports whether a file is a source, and sourceOf may name the source for an
 * import.
 */
export function compile(isOurs, sourceOf = () => undefined) {
  const resolveFilename = Module._resolveFilename;
  Module._resolveFilename = function (spec, parent, ...rest) {
    const from = parent?.filename;
    if (!from || !isOurs(from)) return resolveFilename.call(this, spec, parent, ...rest);
    const source = sourceOf(from, spec);
    if (source) return source;
    const mode = spec.startsWith('#') ? ts.ModuleKind.ESNext : undefined;
    const found = ts.resolveModuleName(spec, from, options(from, isOurs), ts.sys, undefined, undefined, mode).resolvedModule?.resolvedFileName;
    if (found && !found.endsWith('.d.ts') && (isOurs(found) || !found.includes('node_modules'))) return found;
    return spec.startsWith('.') ? resolveFilename.call(this, spec, parent, ...rest) : require.resolve(spec);
  };
  for (const extension of ['.ts', '.mts']) {
    Module._extensions[extension] = (module, file) => {
      const { outputText, diagnostics } = ts.transpileModule(readFileSync(file, 'utf8'), {
        fileName: file.replace(/\.mts$/, '.ts'), reportDiagnostics: true, compilerOptions: fixed,
      });
      if (diagnostics.length) throw new Error(`${file}: ${ts.flattenDiagnosticMessageText(diagnostics[0].messageText, ' ')}`);
      module._compile(outputText, file, 'commonjs');
    };
  }
}
