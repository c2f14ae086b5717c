// Written by msctl. `msctl run` loads this script into every Node.js process that the command of a
// service starts. In a process that uses NestJS, it reports the messages that are sent and handled to
// msctl, which shows them as call trees (`msctl tap`). Elsewhere it does nothing. `tap: false` in
// msctl.yaml switches it off.
//
// The service works as without it: nothing that goes wrong here reaches the service. After an error of
// its own, the script reports it once, restores what it has replaced, and stays away.
'use strict';

const Module = require('node:module');

// ---------------------------------------------------------------------------------------------------
// State

const KEY = 'msctl-tap'; // the member of the metadata that carries the span of a message
const FLUSH_MS = 20;
const MAX_BUFFER = 4 << 20; // bytes that wait for msctl; what exceeds it is dropped
const MIN_BUFFER = 64 << 10;
const MAX_STACK = 8 << 10;
const MAX_METADATA = 4 << 10; // characters of one value
const LOOK_EVERY_MS = 2;
const LOOK_MS = 120_000; // in which a program behind a loader imports NestJS
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 10_000;
const STABLE_MS = 1000; // a connection that has lasted this long was accepted

let collector; // { host, port, service, secret }
let bodyLimit = 16 << 10; // bytes of the data and the reply in a record
let off = false; // set after an own error
const patches = []; // what has been replaced, to restore it

let als; // stores { trace, span, sending?, handling? }: an open connection keeps the store of its first caller
let outside; // an AsyncResource: work of the script itself must not keep the context of a request
let versions = ''; // of NestJS, for msctl

/** Stops observing after an own error. */
function fail(error) {
  if (off) return;
  off = true;
  try {
    for (const { target, name, descriptor, wrapper } of patches.reverse()) {
      if (target[name] !== wrapper) continue; // somebody else has wrapped it since; the wrapper does nothing now
      if (descriptor) Object.defineProperty(target, name, descriptor);
      else delete target[name];
    }
    disconnect();
  } catch {} // there is nothing left to do
  try {
    const text = (error && error.stack) || String(error);
    require('node:fs').writeSync(2, `msctl: the messages of this process are no longer shown, because of an error in msctl: ${text}\n`);
  } catch {}
}

/** Replaces a method. wrap gets the original and returns the replacement. */
function patch(target, name, wrap) {
  const original = target[name];
  if (typeof original !== 'function') return;
  const descriptor = Object.getOwnPropertyDescriptor(target, name);
  if (descriptor && !(descriptor.configurable && 'value' in descriptor)) return;
  const wrapper = wrap(original);
  Object.defineProperty(wrapper, 'name', { value: original.name, configurable: true });
  Object.defineProperty(wrapper, 'length', { value: original.length, configurable: true });
  Object.defineProperty(target, name, { value: wrapper, writable: true, configurable: true, enumerable: descriptor ? descriptor.enumerable : false });
  patches.push({ target, name, descriptor, wrapper });
}

const done = new WeakSet(); // prototypes and deserializers that have been wrapped

/** Reports whether it is called with an object for the first time. */
function first(object) {
  if (done.has(object)) return false;
  done.add(object);
  return true;
}

// ---------------------------------------------------------------------------------------------------
// Finding NestJS

// NestJS 10 and 11 are CommonJS: every copy passes through Module.prototype._compile. NestJS 12 is ESM,
// which does not, but it imports iterare, which is CommonJS and used by nothing else. When that is
// compiled, the process is about to use NestJS.
const COMPILED = /[\\/]@nestjs[\\/]microservices[\\/](?:index|client[\\/]client-\w+|server[\\/]server(?:-\w+)?|context[\\/]rpc-proxy)\.js$/;
const ITERARE = /[\\/]iterare[\\/]lib[\\/]index\.js$/;

function watchModules() {
  patch(Module.prototype, '_compile', original => function _compile(content, filename) {
    if (off) return original.apply(this, arguments);
    if (isBundle(content, filename)) arguments[0] = markBundle(content);
    const result = original.apply(this, arguments);
    try {
      if (ITERARE.test(filename)) foundNest(filename);
      else if (COMPILED.test(filename)) foundFile(filename, this.exports);
    } catch (error) {
      fail(error);
    }
    return result;
  });
}

function foundFile(filename, exports) {
  if (!prepare()) return;
  const isIndex = /[\\/]microservices[\\/]index\.js$/.test(filename);
  if (!isIndex) {
    adopt(exports);
    return;
  }
  describe(filename);
  if (!isESM(filename)) return; // its files have been compiled one by one
  adopt(exports); // an application in CommonJS has required NestJS 12, all of which has been evaluated
  adopt(Module.createRequire(filename)(require('node:path').join(filename, '..', 'context', 'rpc-proxy.js')));
}

/** iterare has been compiled, from a folder in which the NestJS in use can be found, too. */
function foundNest(filename) {
  if (!prepare()) return;
  observeHTTP();
  // Subtle: an import() would race with an application that requires ESM, which Node.js answers with an
  // error for the application. foundFile handles it.
  if (isRequired()) return;
  importNest([filename, process.argv[1], process.cwd()]);
}

/** Reports whether the code that is running was loaded by require, although it is ESM. */
function isRequired() {
  return /importSyncForRequire|loadESMFromCJS/.test(stackNow());
}

function stackNow() {
  const { stackTraceLimit, prepareStackTrace } = Error;
  try {
    Error.stackTraceLimit = 100;
    Error.prepareStackTrace = undefined; // that of the application may be slow
    return new Error().stack;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
}

/** Imports NestJS 12 as the application does, which is about to evaluate the same modules. */
function importNest(from) {
  const index = resolveNest(from);
  if (!index || !isESM(index) || imported.has(index)) return;
  imported.add(index);
  describe(index);
  const { pathToFileURL } = require('node:url');
  const proxy = require('node:path').join(index, '..', 'context', 'rpc-proxy.js');
  outside.runInAsyncScope(() => {
    // Subtle: only the index imports reflect-metadata, which all others require.
    import(pathToFileURL(index)).then(exports => {
      // At once: the application goes on, and may send. Nothing is handled that soon.
      attempt(() => adopt(exports));
      return import(pathToFileURL(proxy));
    }).then(exports => attempt(() => adopt(exports))).catch(() => {}); // the application gets the same error
  });
}

const imported = new Set();

function resolveNest(from) {
  for (const place of from) {
    if (!place) continue;
    try {
      // The real path: tools start programs through symbolic links.
      const file = require('node:path').resolve(place, 'x');
      return Module.createRequire(realParent(file)).resolve('@nestjs/microservices');
    } catch {} // not installed there
  }
  return undefined;
}

function realParent(file) {
  const { dirname, join } = require('node:path');
  const { realpathSync } = require('node:fs');
  for (let dir = dirname(file); dir !== dirname(dir); dir = dirname(dir)) {
    try {
      return join(realpathSync(dir), 'x');
    } catch {} // argv[1] has no extension
  }
  return file;
}

function packageOf(index) {
  try {
    return JSON.parse(require('node:fs').readFileSync(require('node:path').join(index, '..', 'package.json'), 'utf8'));
  } catch {
    return {};
  }
}

function isESM(index) {
  return packageOf(index).type === 'module';
}

function describe(index) {
  const { version } = packageOf(index);
  if (version) versions = `, @nestjs/microservices ${version}`;
}

// A loader, such as tsx, gets CommonJS that is imported from ESM compiled in another way. NestJS is then
// imported when reflect-metadata has been evaluated, which NestJS imports first: before, the program might
// still have to prepare something.
function watchLoader() {
  const options = `${process.env.NODE_OPTIONS || ''} ${process.execArgv.join(' ')}`;
  const entry = process.argv[1];
  if (!entry || !/--(?:experimental-)?loader|--import/.test(options) || !require('node:worker_threads').isMainThread) return;
  if (/[\\/]node_modules[\\/]/.test(realParent(entry)) || !isModuleEntry(entry)) return; // a tool, or an application that would require it
  const index = resolveNest([entry]);
  if (!index || !isESM(index)) return;
  const look = () => {
    if (typeof Reflect.getOwnMetadata === 'function') attempt(() => usesNest(entry));
    else if (performance.now() < LOOK_MS) setTimeout(look, LOOK_EVERY_MS).unref();
  };
  setTimeout(look, LOOK_EVERY_MS).unref();
}

function usesNest(entry) {
  if (!prepare()) return;
  observeHTTP();
  importNest([entry]);
}

function isModuleEntry(entry) {
  if (/\.m[jt]s$/.test(entry)) return true;
  if (/\.c[jt]s$/.test(entry)) return false;
  const { dirname, join } = require('node:path');
  for (let dir = dirname(entry); ; dir = dirname(dir)) {
    try {
      return JSON.parse(require('node:fs').readFileSync(join(dir, 'package.json'), 'utf8')).type === 'module';
    } catch {
      if (dir === dirname(dir)) return false;
    }
  }
}

// A bundler has put NestJS into a file of the application. The classes are then taken where they are
// exported: the text is that of the compiled sources, unless it has been minified.
const EXPORTED = /\bexports\.(ClientProxy|RpcProxy|Server|Server(?:TCP|RMQ|Redis|Nats)|Client(?:TCP|RMQ|Redis|Nats)) = \1;/g;
const HOOK = '__msctlTap';

function isBundle(content, filename) {
  return typeof content === 'string' && content.includes('exports.ClientProxy = ClientProxy;') && content.includes('exports.RpcProxy = RpcProxy;')
    && !/[\\/]node_modules[\\/]/.test(filename);
}

function markBundle(content) {
  if (!prepare()) return content;
  Object.defineProperty(globalThis, HOOK, { configurable: true, value: exports => attempt(() => { observeHTTP(); adopt(exports); }) });
  return content.replace(EXPORTED, (text, name) => `${text}globalThis.${HOOK}({${name}});`); // on the same line, without quotes: a source map and eval() stay right
}

/** Calls f. An error in it is the end of observing. */
function attempt(f) {
  if (off) return undefined;
  try {
    return f();
  } catch (error) {
    fail(error);
    return undefined;
  }
}

const TRANSPORTS = { TCP: 'tcp', RMQ: 'rmq', Redis: 'redis', Nats: 'nats' };

/** Observes the classes among the exports of a module. */
function adopt(exports) {
  for (const name of Object.keys(exports || {})) {
    const prototype = typeof exports[name] === 'function' && exports[name].prototype;
    if (!prototype) continue;
    const kind = /^(Client|Server)(TCP|RMQ|Redis|Nats)$/.exec(name);
    if (kind) transportOf.set(prototype, TRANSPORTS[kind[2]]);
    if (kind && kind[1] === 'Server' && first(prototype)) observeServerOf(prototype, TRANSPORTS[kind[2]]);
    else if (name === 'ClientProxy' && typeof prototype.emit === 'function' && first(prototype)) observeClient(prototype);
    else if (name === 'Server' && typeof prototype.handleEvent === 'function' && first(prototype)) patch(prototype, 'send', observedReplies);
    else if (name === 'RpcProxy' && typeof prototype.handleError === 'function' && first(prototype)) observeHandlers(prototype);
  }
}

const transportOf = new WeakMap(); // of the prototypes of client and server classes

// ---------------------------------------------------------------------------------------------------
// Spans

let prefix = '';
let counter = 0;
let traces = '';

/** Returns the ID of a new span. Each thread has its own random prefix. */
function newID() {
  if (prefix === '' || counter === 0xffffff) {
    const { threadId } = require('node:worker_threads');
    const random = require('node:crypto').randomBytes(13);
    random[0] ^= threadId;
    prefix = random.toString('hex', 0, 5);
    traces = random.toString('hex', 5);
    counter = 0;
  }
  counter++;
  return prefix + counter.toString(16).padStart(6, '0');
}

// The spans that have not ended and have not been reported, in the order of their start, are a list.
// Subtle: a Set with as many additions as deletions keeps what was deleted alive for long, which doubles the cost
// of a message.
let oldest;
let newest;

function append(s) {
  s.previous = newest;
  if (newest) newest.next = s;
  else oldest = s;
  newest = s;
}

function remove(s) {
  if (s.previous) s.previous.next = s.next;
  else if (oldest === s) oldest = s.next;
  else return; // it has been removed
  if (s.next) s.next.previous = s.previous;
  else newest = s.previous;
  s.previous = s.next = undefined;
}

/** Begins a span of what is caused by cause, a store, or of a new trace. */
function begin(kind, cause) {
  const span = newID();
  const s = {
    kind, span, trace: cause ? cause.trace : traces + span, parent: cause ? cause.span : '', start: performance.now(), ended: false,
    pattern: '', path: '', event: false, call: '', attempt: 0, transport: '', peer: '', correlation: '', id: undefined, metadata: '', status: 0,
    data: undefined, reply: undefined, values: 0, out: 0, error: undefined,
    previous: undefined, next: undefined, store: undefined, stamped: false, handled: false, replying: false, pending: 0, settled: false, socket: undefined,
  };
  append(s);
  schedule();
  return s;
}

function end(s, outcome, error) {
  if (s.ended) return;
  release(s);
  if (room()) keep(lineOf(s, outcome, error));
}

/** Ends a span without a record. */
function release(s) {
  s.ended = true;
  remove(s);
  if (s.store) s.store.sending = s.store.handling = undefined; // see als
  s.socket = undefined;
}

const quoted = new Map(); // JSON of texts that repeat, such as patterns

function quote(text) {
  let json = quoted.get(text);
  if (json === undefined) {
    json = JSON.stringify(text);
    if (quoted.size >= 1024) quoted.clear();
    quoted.set(text, json);
  }
  return json;
}

/** Returns the record of a span; without an outcome, of one that has not ended. */
function lineOf(s, outcome, error) {
  const now = performance.now();
  let t = `{"kind":"${s.kind}","trace":"${s.trace}","span":"${s.span}"`;
  if (s.parent) t += `,"parent":"${s.parent}"`;
  t += `,"pattern":${quote(s.pattern)}`;
  if (s.path) t += `,"path":${JSON.stringify(s.path)}`;
  if (s.event) t += ',"event":true';
  if (s.call) t += `,"call":"${s.call}"`;
  if (s.attempt > 1) t += `,"attempt":${s.attempt}`;
  if (s.transport) t += `,"transport":"${s.transport}"`;
  if (s.peer) t += `,"peer":${quote(s.peer)}`;
  if (s.correlation) t += `,"correlation":${JSON.stringify(s.correlation)}`;
  t += `,"start":${Math.round((clock + s.start) * 1e6)},"took":${Math.round((now - s.start) * 1e6)}`;
  if (outcome === undefined) return `${t},"open":true}\n`;
  t += `,"outcome":"${outcome}"`;
  if (s.status) t += `,"status":${s.status}`;
  if (error) t += `,"error":${errorText(error)}`;
  if (s.id !== undefined) t += `,"id":${s.id}`;
  if (s.values) t += `,"values":${s.values}`;
  if (s.data) t += `,"in":${s.data.size},"data":${s.data.json}`;
  if (s.out) t += `,"out":${s.out}`;
  if (s.reply) t += `,"reply":${s.reply.json}`;
  if ((s.data && s.data.cut) || (s.reply && s.reply.cut)) t += ',"cut":true';
  if (s.metadata) t += `,"metadata":${s.metadata}`;
  return `${t}}\n`;
}

function errorText({ message, status, stack, own }) {
  let t = `{"message":${JSON.stringify(maskText(String(message)))}`;
  if (Number.isInteger(status)) t += `,"status":${status}`;
  if (stack) t += `,"stack":${JSON.stringify(maskText(stack.slice(0, MAX_STACK)))}`;
  return own ? `${t},"own":true}` : `${t}}`;
}

const remote = new WeakSet(); // errors that peers have returned

/** Describes an error, which is this program's own unless a peer has returned it. */
function describeError(error, own) {
  const described = { message: '', status: undefined, stack: undefined, own };
  try {
    const isObject = typeof error === 'object' && error !== null;
    let payload = isObject && typeof error.getError === 'function' ? error.getError() : error;
    if (isObject && typeof error.getResponse === 'function') payload = error.getResponse();
    for (const part of isObject ? [error, payload, error.cause] : []) {
      if (typeof part === 'object' && part !== null && remote.has(part)) described.own = false;
    }
    const status = (payload && payload.status) ?? (isObject && typeof error.getStatus === 'function' ? error.getStatus() : undefined);
    if (Number.isInteger(status)) described.status = status;
    described.message = messageOf(payload) ?? messageOf(error) ?? textOf(error) ?? String(error);
    if (isObject && typeof error.stack === 'string' && described.own) described.stack = error.stack;
  } catch {} // a getter or a method of the application
  return described;
}

function messageOf(error) {
  if (typeof error === 'string') return error;
  const message = typeof error === 'object' && error !== null ? error.message : undefined;
  if (Array.isArray(message)) return message.join(', '); // of a ValidationPipe
  return typeof message === 'string' && message !== '' ? message : undefined;
}

/** Returns the JSON of a pattern, as it travels. */
function patternText(pattern) {
  if (typeof pattern === 'string') {
    const isJSON = pattern[0] === '{' && pattern.endsWith('}'); // the route of an event on TCP
    return isJSON ? pattern : JSON.stringify(pattern);
  }
  return textOf(pattern) ?? '';
}

/** Returns the JSON of a packet's ID: usually letters and digits, but any value. */
function idText(id) {
  return typeof id === 'string' && /^[0-9a-z]*$/.test(id) ? `"${id}"` : textOf(id);
}

/** Reports whether msctl itself sends a message, to see whether a service is ready or has read an event. */
function isReserved(pattern) {
  return typeof pattern === 'string' && (pattern.startsWith('msctl.health') || pattern.startsWith('msctl.describe') || pattern === 'msctl.confirm');
}

// ---------------------------------------------------------------------------------------------------
// Data

/** Returns JSON, or undefined for a value that has none. */
function textOf(value) {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined; // BigInt, a cycle, or an error of the application's toJSON: NestJS reports it
  }
}

/** Returns what a record has of a value: its size and its masked JSON, or the beginning of that as a string. */
function bodyOf(value) {
  if (bodyLimit === 0) return undefined;
  const text = textOf(value);
  if (text === undefined) return undefined;
  const size = Buffer.byteLength(text);
  if (size > bodyLimit) return { size, json: JSON.stringify(mask(beginning(text, bodyLimit))), cut: true };
  return { size, json: mayHoldSecret(value, 0) ? mask(text) : text, cut: false };
}

/** Returns the beginning of a text, of at most n bytes of UTF-8. */
function beginning(text, n) {
  const bytes = Buffer.from(text.slice(0, n));
  let to = Math.min(n, bytes.length);
  while (to > 0 && to < bytes.length && (bytes[to] & 0xc0) === 0x80) to--;
  return bytes.toString('utf8', 0, to);
}

/** Reports whether mask might change the JSON of a value. It is quicker than mask. */
function mayHoldSecret(value, depth) {
  if (typeof value === 'string') return isSuspicious(value);
  if (typeof value !== 'object' || value === null) return false;
  if (depth > 16 || (typeof value.toJSON === 'function' && !(value instanceof Date))) return true; // its JSON has other members
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (mayHoldSecret(value[i], depth + 1)) return true;
    }
    return false;
  }
  for (const name in value) {
    if (isSecret(name) || mayHoldSecret(value[name], depth + 1)) return true;
  }
  return false;
}

// The rules are those of runtime/tap/mask.go, and tested with the same cases.

const SECRET_WORDS = [
  'password', 'passwd', 'passphrase', 'pwd', 'secret', 'token', 'authorization', 'apikey', 'cookie', 'credential',
  'privatekey', 'accesskey', 'signature', 'sessionid', 'otp', 'cvv', 'cvc', 'pincode', 'cardnumber',
];
const MASKED = '"***"';
const knownNames = new Map();

/** Reports whether a member with this name holds a secret. */
function isSecret(name) {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  const plain = Buffer.from(name).subarray(0, 256).toString('latin1').toLowerCase().replace(/[^a-z\x80-\xff]/g, '').slice(0, 256);
  const secret = SECRET_WORDS.some(word => (word.length <= 3 ? plain === word : plain.includes(word)));
  if (knownNames.size < 4096 && name.length <= 64) knownNames.set(name, secret);
  return secret;
}

/** Replaces what looks like a secret in a text. */
function maskText(s) {
  if (isCredential(s)) return '***';
  const scheme = s.indexOf('://');
  if (scheme < 0) return s;
  const rest = s.slice(scheme + 3);
  const stop = rest.search(/[/?# "]/);
  const authority = stop < 0 ? rest : rest.slice(0, stop);
  const at = authority.lastIndexOf('@');
  const colon = authority.indexOf(':');
  if (at < 0 || colon < 0 || colon > at) return s;
  return s.slice(0, scheme + 3) + authority.slice(0, colon + 1) + '***' + rest.slice(at);
}

function isCredential(s) {
  switch (s[0]) {
    case 'B':
    case 'b':
      return Buffer.byteLength(s) >= 8 && (s.slice(0, 7).toLowerCase() === 'bearer ' || s.slice(0, 6).toLowerCase() === 'basic ');
    case 'e':
      return s.startsWith('eyJ') && Buffer.byteLength(s) >= 8 && s.indexOf('.') !== s.lastIndexOf('.');
  }
  return false;
}

function isSuspicious(s) {
  const c = s[0];
  return c === 'B' || c === 'b' || c === 'e' || s.includes('@');
}

/** Replaces the secrets in JSON text, which may end anywhere. */
function mask(text) {
  let out = '';
  let copied = 0; // what precedes it is in out
  for (let i = text.indexOf('"'); i >= 0 && i < text.length; i = text.indexOf('"', i)) {
    const start = i;
    const stop = stringEnd(text, i);
    i = stop;
    const colon = skipSpace(text, stop);
    if (text[colon] === ':') {
      i = skipSpace(text, colon + 1);
      if (isSecretKey(text.slice(start, stop)) && i < text.length && text[i] !== 'n') { // null is no secret
        const value = i;
        i = valueEnd(text, value);
        out += text.slice(copied, value) + MASKED;
        copied = i;
      }
      continue;
    }
    const quoted = text.slice(start + 1, stop);
    if (!isSuspicious(quoted)) continue;
    const plain = quoted.endsWith('"') ? quoted.slice(0, -1) : quoted;
    const masked = maskText(plain);
    if (masked !== plain) {
      out += text.slice(copied, start + 1) + masked + '"';
      copied = stop;
    }
  }
  return out + text.slice(copied);
}

function isSecretKey(quoted) {
  if (quoted.length < 2) return false;
  let name = quoted.slice(1, -1);
  if (name.includes('\\')) {
    try {
      name = JSON.parse(quoted);
    } catch {} // as it is
  }
  return isSecret(name);
}

function skipSpace(text, i) {
  while (text[i] === ' ' || text[i] === '\t' || text[i] === '\n' || text[i] === '\r') i++;
  return i;
}

function stringEnd(text, i) {
  for (i++; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

function valueEnd(text, i) {
  for (let depth = 0; i < text.length;) {
    switch (text[i]) {
      case '"':
        i = stringEnd(text, i);
        if (depth === 0) return i;
        continue;
      case '{':
      case '[':
        depth++;
        break;
      case '}':
      case ']':
        if (depth === 0) return i; // of the object that contains the value
        if (--depth === 0) return i + 1;
        break;
      case ',':
        if (depth === 0) return i;
    }
    i++;
  }
  return text.length;
}

/** Returns the JSON of metadata, which has strings only, or ''. */
function metadataText(...sources) {
  let t = '';
  for (const source of sources) {
    if (!isPlain(source)) continue;
    for (const name of Object.keys(source)) {
      if (name === KEY || (name === 'traceparent' && KEY in source)) continue; // the record has the trace
      const value = typeof source[name] === 'string' ? source[name] : textOf(source[name]);
      if (value !== undefined) t += `${t ? ',' : '{'}${JSON.stringify(name)}:${JSON.stringify(maskedValue(name, value.slice(0, MAX_METADATA)))}`;
    }
  }
  return t && `${t}}`;
}

function maskedValue(name, value) {
  if (isSecret(name)) return '***';
  return value[0] === '{' || value[0] === '[' ? mask(value) : maskText(value);
}

function isPlain(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// ---------------------------------------------------------------------------------------------------
// Reporting

let clock = 0; // milliseconds since 1970 at performance.now() = 0
let buffer; // complete lines, up to used; spare is the one that has been written
let spare;
let used = 0;
let lines = 0; // in the buffer
let due = false; // a flush has been scheduled
let dropped = 0; // since the last line that says so
let socket; // undefined while not connected
let connected = false;
let writing = false; // what has been written has not been taken
let resting = false; // msctl does not answer: nothing is recorded until it is tried again
let backoff = 0;
let since = 0; // when the connection was established

/** Loads what observing requires. It returns false if there is nothing to report to. */
function prepare() {
  if (off) return false;
  if (als) return true;
  collector = parse(process.env.MSCTL_TAP);
  if (!collector) {
    off = true;
    return false;
  }
  const { AsyncLocalStorage, AsyncResource } = require('node:async_hooks');
  outside = new AsyncResource('msctl');
  als = new AsyncLocalStorage();
  setClock();
  process.on('exit', () => attempt(() => flush(true)));
  return true;
}

function parse(setting) {
  try {
    const url = new URL(setting);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (url.protocol !== 'tcp:' || !/^127\.|^::1$/.test(host) || require('node:net').isIP(host) === 0) return undefined;
    const body = url.searchParams.get('body');
    if (body) bodyLimit = Math.max(0, parseInt(body, 10) || 0);
    return { host, port: Number(url.port), service: decodeURIComponent(url.username), secret: decodeURIComponent(url.password) };
  } catch {
    return undefined; // not one of msctl's
  }
}

/** The clock of the system may be set, and it continues while the machine is suspended. */
function setClock() {
  const now = Date.now() - performance.now();
  if (Math.abs(now - clock) > 5) clock = clock === 0 ? performance.timeOrigin : now;
}

/** Reports whether spans are recorded. Otherwise it counts the one that will not start. */
function recording() {
  if (off) return false;
  if (resting) dropped++;
  return !resting;
}

function room() {
  if (used < MAX_BUFFER) return true;
  dropped++;
  return false;
}

// Subtle: lines are encoded at once. Strings that are kept until the flush cost more, in garbage collection.
function keep(line) {
  const end = used + 3 * line.length; // at most
  if (buffer === undefined || end > buffer.length) {
    const larger = Buffer.allocUnsafe(Math.max(end, buffer === undefined ? MIN_BUFFER : 2 * buffer.length));
    if (buffer !== undefined) buffer.copy(larger, 0, 0, used);
    buffer = larger;
  }
  used += buffer.write(line, used, 'utf8');
  lines++;
  schedule();
}

function schedule() {
  if (due) return;
  due = true;
  outside.runInAsyncScope(() => {
    if (!socket && !resting) connect(); // early, so that a program that soon exits is connected by then
    setTimeout(() => attempt(flush), FLUSH_MS).unref();
  });
}

function connect() {
  const net = require('node:net');
  const s = new net.Socket();
  unwrapped(s.connect).call(s, { host: collector.host, port: collector.port });
  socket = s;
  s.unref();
  s.on('connect', () => {
    connected = true;
    since = performance.now();
    const hello = { tap: 1, secret: collector.secret, service: collector.service, runtime: `node ${process.versions.node}${versions}`, pid: process.pid };
    s.write(`${JSON.stringify(hello)}\n`);
    attempt(flush);
  });
  s.on('error', () => {}); // close follows
  s.on('close', () => attempt(() => {
    if (socket === s) lost();
  }));
  s.resume(); // nothing is read, but the end is noticed
}

/** Returns what OpenTelemetry has wrapped: the spans of the application do not include this connection. */
function unwrapped(method) {
  for (let n = 0; n < 10 && typeof method.__original === 'function'; n++) method = method.__original;
  return method;
}

function disconnect() {
  const s = socket;
  socket = undefined;
  connected = writing = false;
  used = lines = 0;
  if (s) s.destroy();
}

/** Stops recording until msctl is tried again. */
function lost() {
  if (connected && performance.now() - since > STABLE_MS) backoff = 0;
  dropped += lines;
  disconnect();
  backoff = Math.min(Math.max(2 * backoff, MIN_BACKOFF_MS), MAX_BACKOFF_MS);
  resting = true;
  setTimeout(() => { resting = false; }, backoff).unref();
}

/** Writes what is kept, unless the previous write has not been taken. */
function flush(exiting) {
  due = false;
  if (resting) return;
  if (exiting !== true) announce();
  if (!connected || (writing && exiting !== true)) return;
  if (dropped > 0) {
    const n = dropped;
    dropped = 0;
    keep(`{"dropped":${n}}\n`);
  }
  if (used === 0) return;
  setClock();
  const written = buffer;
  const s = socket;
  writing = true;
  s.write(written.subarray(0, used), () => attempt(() => {
    if (socket !== s) return;
    writing = false;
    if (written.length <= MAX_BUFFER / 4) spare = written;
    if (used > 0 || oldest) schedule();
  }));
  buffer = spare;
  spare = undefined;
  used = lines = 0;
}

/** Keeps records of the spans that have not ended. The newest will probably end before the next flush. */
function announce() {
  const latest = performance.now() - FLUSH_MS / 2;
  while (oldest && oldest.start <= latest) {
    const s = oldest;
    remove(s);
    if (room()) keep(lineOf(s));
  }
  if (oldest) schedule();
}

// ---------------------------------------------------------------------------------------------------
// Sending

function observeClient(prototype) {
  patch(prototype, 'send', original => function send(pattern, data) {
    const result = original.apply(this, arguments);
    if (off) return result;
    return attempt(() => observedCall(this, pattern, data, result)) || result;
  });
  patch(prototype, 'emit', original => function emit(pattern, data) {
    const span = off ? undefined : attempt(() => beginEvent(this, pattern, data));
    if (!span) return original.apply(this, arguments);
    const result = als.run(span.store, () => original.apply(this, arguments));
    attempt(() => result.subscribe({
      error: error => attempt(() => endUnsent(span, error)),
      complete: () => attempt(() => end(span, 'ok')),
    }));
    return result;
  });
}

/** Returns the transport of a client, and observes the methods of its class that send; '' for one that is not supported. */
function prepareClient(client) {
  for (let p = Object.getPrototypeOf(client); p; p = Object.getPrototypeOf(p)) {
    const transport = transportOf.get(p);
    if (transport) {
      observeOwner(client, 'publish', observedPublish);
      observeOwner(client, 'dispatchEvent', observedDispatch);
      return transport;
    }
  }
  return '';
}

const prepared = new WeakMap(); // the transports of classes of clients

function clientTransport(client) {
  const prototype = Object.getPrototypeOf(client);
  let transport = prepared.get(prototype);
  if (transport === undefined) {
    transport = prepareClient(client);
    prepared.set(prototype, transport);
  }
  return transport;
}

/** Replaces a method in each class that has it, such as ClientTCP and one that extends it. */
function observeOwner(object, name, wrap) {
  for (let p = Object.getPrototypeOf(object); p && p !== Object.prototype; p = Object.getPrototypeOf(p)) {
    if (!Object.hasOwn(p, name)) continue;
    let names = owned.get(p);
    if (!names) owned.set(p, names = new Set());
    if (!names.has(name)) {
      names.add(name);
      patch(p, name, wrap);
    }
  }
}

const owned = new WeakMap();

function peerOf(client, transport) {
  return transport === 'tcp' && client.host !== undefined ? `${client.host}:${client.port}` : '';
}

/** Returns an Observable that begins a span for each subscription: an attempt. */
function observedCall(client, pattern, data, result) {
  if (!result || typeof result.lift !== 'function' || isReserved(pattern)) return undefined;
  const transport = clientTransport(client);
  if (!transport) return undefined;
  const call = { id: '', attempts: 0, trace: '', cause: als.getStore() };
  const begins = () => beginAttempt(client, transport, call, pattern, data);
  return result.lift({
    call(subscriber, source) {
      const span = recording() ? attempt(begins) : undefined;
      return span ? observedAttempt(span, subscriber, source) : source.subscribe(subscriber);
    },
  });
}

function beginAttempt(client, transport, call, pattern, data) {
  const cause = als.getStore() || call.cause;
  const s = begin('send', cause);
  if (!cause && call.trace) s.trace = call.trace; // all attempts belong to one trace
  call.trace = s.trace;
  call.id = call.id || s.span;
  s.call = call.id;
  s.attempt = ++call.attempts;
  describeSent(s, client, transport, pattern, data, cause);
  return s;
}

function beginEvent(client, pattern, data) {
  const transport = isReserved(pattern) ? '' : clientTransport(client);
  if (!transport || !recording()) return undefined;
  const cause = als.getStore();
  const s = begin('emit', cause);
  describeSent(s, client, transport, pattern, data, cause);
  return s;
}

function describeSent(s, client, transport, pattern, data, cause) {
  s.transport = transport;
  s.peer = peerOf(client, transport);
  s.pattern = patternText(pattern);
  s.data = bodyOf(isRecord(data) ? data.data : data);
  s.store = { trace: s.trace, span: cause ? cause.span : '', sending: s, handling: cause && cause.handling };
  if (!cause) s.store.span = s.span; // what the caller does in the connection's callbacks belongs to the call
}

/** Reports whether data is an RmqRecord or a NatsRecord: data with headers. */
function isRecord(data) {
  const name = typeof data === 'object' && data !== null && data.constructor ? data.constructor.name : '';
  return name === 'RmqRecord' || name === 'NatsRecord';
}

// The callbacks of the application run in the context of the caller: a reply arrives in that of the
// connection, which is the first caller's.
function observedAttempt(span, subscriber, source) {
  const caller = als.getStore();
  const next = value => subscriber.next(value);
  const error = failure => subscriber.error(failure);
  const complete = () => subscriber.complete();
  subscriber.add(() => attempt(() => endAbandoned(span)));
  return als.run(span.store, () => source.subscribe({
    next: value => als.run(caller, next, value),
    error: failure => {
      attempt(() => endUnsent(span, failure));
      als.run(caller, error, failure);
    },
    complete: () => {
      attempt(() => end(span, 'ok'));
      als.run(caller, complete);
    },
  }));
}

/** Ends a span with an error that no peer has returned. */
function endUnsent(span, error) {
  if (span.ended) return;
  const isInvalid = typeof error === 'object' && error !== null && error.constructor && error.constructor.name === 'InvalidMessageException';
  end(span, isInvalid || (span.stamped && !isLost(error)) ? 'error' : 'unreachable', describeError(error, true));
}

function isLost(error) {
  const message = messageOf(error) || '';
  return message === 'Connection closed' || message.includes('Connection lost') || /^E(?:CONN|PIPE|HOST|NET|TIMEDOUT)/.test((error && error.code) || '');
}

/** The caller has unsubscribed. */
function endAbandoned(span) {
  if (span.ended) return;
  if (span.values > 0) end(span, 'ok'); // it wanted no more, as with take(1)
  else end(span, /[\\/]operators[\\/]timeout\.js/.test(stackNow()) ? 'timeout' : 'abandoned');
}

function observedPublish(original) {
  return function publish(packet, callback) {
    const span = off ? undefined : attempt(() => stamped(this, packet));
    if (!span) return original.apply(this, arguments);
    const teardown = original.call(this, packet, reply => {
      attempt(() => replied(span, reply));
      return callback(reply);
    });
    attempt(() => {
      span.id = idText(packet.id);
    });
    return teardown;
  };
}

function observedDispatch(original) {
  return function dispatchEvent(packet) {
    if (!off) attempt(() => stamped(this, packet));
    return original.apply(this, arguments);
  };
}

/** Adds the span that is being sent to the packet, and returns it. */
function stamped(client, packet) {
  const store = als.getStore();
  const span = store && store.sending;
  if (!span || span.stamped || !isPlain(packet)) return undefined;
  span.stamped = true;
  const { metadata } = packet;
  span.metadata = metadataText(metadata);
  if (isPlain(metadata) && typeof metadata['correlation-id'] === 'string') span.correlation = metadata['correlation-id'];
  if (metadata === undefined || (isPlain(metadata) && Object.getPrototypeOf(metadata) === Object.prototype)) {
    const mine = { [KEY]: `${span.trace}-${span.span}` };
    if (typeof client.setOnDispatchHook === 'function' && !hasTracing() && !(metadata && 'traceparent' in metadata)) {
      mine.traceparent = `00-${span.trace}-${span.span}-01`;
    }
    packet.metadata = metadata === undefined ? mine : { ...metadata, ...mine };
  }
  return span;
}

/** Reports whether the application has an OpenTelemetry SDK, whose traces others must not replace. */
function hasTracing() {
  const api = globalThis[Symbol.for('opentelemetry.js.api.1')];
  return Boolean(api && api.trace);
}

const NO_HANDLER = 'There is no matching message handler defined in the remote service.';

function replied(span, { err, response, isDisposed }) {
  if (span.ended) return; // such as RabbitMQ with NestJS 10, which calls back twice
  if (err) {
    const message = messageOf(err) || '';
    if (typeof err === 'object') remote.add(err);
    const isMissing = message === NO_HANDLER || message.startsWith('Empty response. There are no subscribers');
    end(span, isMissing ? 'no handler' : isLost(err) ? 'unreachable' : 'error', describeError(err, isLost(err)));
    return;
  }
  if (response !== undefined) value(span, response);
  if (isDisposed) end(span, 'ok');
}

function value(span, response) {
  span.values++;
  span.reply = bodyOf(response);
  if (span.reply) span.out += span.reply.size;
}

// ---------------------------------------------------------------------------------------------------
// Receiving

let receiving; // the span whose packet is about to be deserialized, and the arguments of handleMessage

function observeServerOf(prototype, transport) {
  patch(prototype, 'handleMessage', original => function handleMessage() {
    const span = recording() ? attempt(() => beginHandling(this, transport, arguments)) : undefined;
    if (!span) return original.apply(this, arguments);
    receiving = { span, transport, args: arguments };
    let result;
    try {
      result = als.run(span.store, () => original.apply(this, arguments));
    } finally {
      receiving = undefined;
    }
    if (!result || typeof result.then !== 'function') return result;
    // Subtle: the promise of the service is returned with its error, so that nobody else handles a rejection.
    return result.then(
      settled => {
        attempt(() => settle(this, span));
        return settled;
      },
      error => {
        attempt(() => end(span, 'error', span.error || describeError(error, true)));
        throw error;
      },
    );
  });
}

function beginHandling(server, transport, args) {
  const message = args[0];
  if (transport === 'rmq' && (message === null || message === undefined)) return undefined; // the consumer was canceled
  const s = begin('handle', undefined);
  s.transport = transport;
  s.store = { trace: s.trace, span: s.span, sending: undefined, handling: s };
  if (transport === 'tcp') {
    s.socket = message;
    const net = message && (message.netSocket || message.socket);
    if (net && net.remoteAddress) s.peer = address(net);
  }
  observeDeserializer(server.deserializer);
  return s;
}

const addresses = new WeakMap(); // of the peers of connections

function address(connection) {
  let text = addresses.get(connection);
  if (text === undefined) {
    text = addressText(connection);
    addresses.set(connection, text);
  }
  return text;
}

function addressText({ remoteAddress, remotePort }) {
  return remoteAddress.includes(':') && !remoteAddress.startsWith('::ffff:') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress.replace('::ffff:', '')}:${remotePort}`;
}

/** What a deserializer returns is the only place that has the ID of the packet with every transport. */
function observeDeserializer(deserializer) {
  if (!deserializer || !first(deserializer)) return;
  if (!Object.isExtensible(deserializer)) return;
  patch(deserializer, 'deserialize', original => function deserialize() {
    const { span, transport, args } = receiving || {};
    receiving = undefined;
    const result = original.apply(this, arguments);
    if (off || !span) return result;
    if (!result || typeof result.then !== 'function') {
      attempt(() => received(span, transport, args, result));
      return result;
    }
    return result.then(packet => {
      attempt(() => received(span, transport, args, packet));
      return packet;
    });
  });
}

function received(span, transport, args, packet) {
  if (typeof packet !== 'object' || packet === null) return;
  const isAddressed = transport === 'redis' || transport === 'nats'; // by the channel or subject, which is the first argument
  const pattern = packet.pattern ?? (isAddressed ? args[0] : undefined);
  if (isReserved(isAddressed ? args[0] : pattern)) {
    release(span);
    return;
  }
  span.route = isAddressed ? args[0] : pattern;
  span.pattern = patternText(pattern);
  span.event = packet.id === undefined;
  span.id = idText(packet.id);
  span.data = bodyOf(packet.data);
  const metadata = isPlain(packet.metadata) ? packet.metadata : {};
  const headers = headersOf(transport, args);
  if (packet.metadata !== undefined || transport === 'rmq' || transport === 'nats') span.metadata = metadataText(metadata, headers);
  span.correlation = stringOf(metadata['correlation-id']) || stringOf(headers['correlation-id']);
  continueTrace(span, metadata, headers);
}

function headersOf(transport, args) {
  if (transport === 'rmq') return (args[0].properties && args[0].properties.headers) || {};
  const headers = transport === 'nats' && args[1] ? args[1].headers : undefined;
  if (!headers || typeof headers.keys !== 'function' || typeof headers.get !== 'function') return {};
  return Object.fromEntries([...headers.keys()].map(name => [name, headers.get(name)]));
}

function stringOf(value) {
  return typeof value === 'string' ? value : '';
}

/** The span that has sent the message is the parent; without one, a trace of somebody else is continued. */
function continueTrace(span, metadata, headers) {
  const ref = parseRef(metadata[KEY]) || parseRef(headers[KEY]) || traceOf(metadata.traceparent) || traceOf(headers.traceparent);
  if (!ref) return;
  span.trace = span.store.trace = ref.trace;
  span.parent = ref.span;
}

function parseRef(text) {
  const match = typeof text === 'string' && /^([0-9a-f]{32})-([0-9a-f]{16})$/.exec(text);
  return match ? { trace: match[1], span: match[2] } : undefined;
}

function traceOf(traceparent) {
  const match = typeof traceparent === 'string' && /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent);
  return match && !/^0+$/.test(match[1]) ? { trace: match[1], span: '' } : undefined;
}

/** Observes the replies to a request: Server.prototype.send. */
function observedReplies(original) {
  return function send(stream$, respond) {
    const store = off ? undefined : als.getStore();
    const span = store && store.handling;
    if (!span || span.event || typeof respond !== 'function') return original.apply(this, arguments);
    span.replying = true;
    return original.call(this, stream$, data => {
      attempt(() => responded(span, data));
      return respond(data);
    });
  };
}

function responded(span, data) {
  if (span.ended || !data) return;
  const isGone = span.socket && span.socket.isClosed === true;
  if (data.err) {
    end(span, 'error', span.error || describeError(data.err, true));
    return;
  }
  if (data.response !== undefined) value(span, data.response);
  if (data.isDisposed) end(span, isGone ? 'abandoned' : 'ok');
}

/** handleMessage has ended. The replies to a request may follow. */
function settle(server, span) {
  span.settled = true;
  if (span.ended || span.replying) return;
  if (!span.handled && (!span.event || !server.getHandlerByPattern(routeText(span.route)))) {
    end(span, 'no handler', { message: 'no handler for this pattern', own: true });
  } else if (span.pending === 0) {
    endEvent(span);
  }
}

function routeText(route) {
  return typeof route === 'string' ? route : textOf(route);
}

function endEvent(span) {
  end(span, span.error ? 'error' : 'ok', span.error);
}

function observeHandlers(prototype) {
  patch(prototype, 'create', original => function create() {
    const handler = original.apply(this, arguments);
    if (off || typeof handler !== 'function') return handler;
    return function () {
      const store = off ? undefined : als.getStore();
      const span = store && store.handling;
      if (!span) return handler.apply(this, arguments);
      span.handled = true;
      const result = handler.apply(this, arguments);
      return span.event && result && typeof result.then === 'function' ? observedEvent(span, result) : result;
    };
  });
  patch(prototype, 'handleError', original => function handleError(exceptionsHandler, args, error) {
    attempt(() => {
      const store = als.getStore();
      const span = store && store.handling;
      if (span && !span.error) span.error = describeError(error, true);
    });
    return original.apply(this, arguments);
  });
}

/** Each handler of an event has ended when its promise and the Observable that it returns have: NestJS waits for neither if there are several. */
function observedEvent(span, result) {
  span.pending++;
  return result.then(
    value => {
      const observed = attempt(() => observedStream(span, value));
      attempt(() => leave(span));
      return observed === undefined ? value : observed;
    },
    error => {
      attempt(() => leave(span));
      throw error;
    },
  );
}

function leave(span) {
  span.pending--;
  if (span.pending === 0 && span.settled) endEvent(span);
}

function observedStream(span, value) {
  if (off || !value || typeof value.lift !== 'function' || typeof value.subscribe !== 'function') return value;
  span.pending++;
  return value.lift({
    call(subscriber, source) {
      subscriber.add(() => attempt(() => leave(span)));
      return source.subscribe(subscriber);
    },
  });
}

// ---------------------------------------------------------------------------------------------------
// HTTP

let observesHTTP = false;

function observeHTTP() {
  if (observesHTTP) return;
  observesHTTP = true;
  for (const { Server } of [require('node:http'), require('node:https')]) {
    patch(Server.prototype, 'emit', original => function emit(event, req, res) {
      const span = event === 'request' && recording() ? attempt(() => beginRequest(req, res)) : undefined;
      return span ? als.run(span.store, () => original.apply(this, arguments)) : original.apply(this, arguments);
    });
  }
  // Fastify publishes the route of a request. Express adds it to the request.
  require('node:diagnostics_channel').subscribe('tracing:fastify.request.handler:start', message => attempt(() => {
    const raw = message && message.request && message.request.raw;
    const span = raw && requests.get(raw);
    const route = message && message.route && message.route.url;
    if (span && typeof route === 'string') span.route = route;
  }));
}

const requests = new WeakMap(); // spans by the request of node:http

function beginRequest(req, res) {
  const path = String(req.url).split('?', 1)[0];
  if (path.startsWith('/health')) return undefined;
  const cause = traceOf(req.headers.traceparent);
  const s = begin('http', cause);
  s.path = path;
  s.pattern = `${req.method} ${path}`;
  s.transport = 'http';
  s.correlation = stringOf(req.headers['x-correlation-id']);
  if (req.socket && req.socket.remoteAddress) s.peer = address(req.socket);
  s.store = { trace: s.trace, span: s.span, sending: undefined, handling: undefined };
  requests.set(req, s);
  res.on('close', () => attempt(() => endRequest(s, req, res)));
  return s;
}

function endRequest(s, req, res) {
  const route = s.route || (req.route && typeof req.route.path === 'string' ? (req.baseUrl || '') + req.route.path : '');
  if (route) s.pattern = `${req.method} ${route.replace(/:(\w+)(?:\([^)]*\))?[?+*]?/g, '{$1}')}`;
  if (!res.writableFinished) {
    end(s, 'abandoned');
    return;
  }
  s.status = res.statusCode;
  end(s, res.statusCode < 400 ? 'ok' : 'error');
}

// ---------------------------------------------------------------------------------------------------

const LOADED = Symbol.for('msctl.tap');

if (process.env.MSCTL_TAP && !process[LOADED]) {
  Object.defineProperty(process, LOADED, { value: true });
  attempt(watchModules);
  attempt(watchLoader);
}

module.exports = { isSecret, mask, maskText }; // for the tests
