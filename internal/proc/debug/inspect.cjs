// Written by msctl. `msctl run --debug SERVICE` loads this script into every Node.js process
// that the command of the service starts: npm, nest, and the service itself. Only the service
// opens its inspector: the first process that listens on the service's port, or connects to
// its broker.
'use strict';

const { isMainThread } = require('node:worker_threads');

if (isMainThread && process.env.MSCTL_INSPECT) {
  const net = require('node:net');
  const { port, listen, connect } = JSON.parse(process.env.MSCTL_INSPECT);
  let isOpen = false;

  const open = () => {
    isOpen = true;
    delete process.env.MSCTL_INSPECT; // the port is taken: its own child processes must not open it
    const inspector = require('node:inspector');
    if (inspector.url() === undefined) {
      inspector.open(port, '127.0.0.1');
    }
  };

  const portOf = (argument) => {
    const first = Array.isArray(argument) ? argument[0] : argument; // node:net passes its own calls as a list
    return Number(typeof first === 'object' && first !== null ? first.port : first);
  };

  const before = (prototype, method, ports) => {
    const original = prototype[method];
    prototype[method] = function (...args) {
      if (!isOpen && ports.includes(portOf(args[0]))) {
        open();
      }
      return original.apply(this, args);
    };
  };

  before(net.Server.prototype, 'listen', listen ?? []);
  before(net.Socket.prototype, 'connect', connect ?? []);
}
