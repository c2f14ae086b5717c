// Runs a program in a worker thread, or in two processes of a cluster: `node threads.mjs thread|cluster FILE ARGUMENTS…`.
import cluster from 'node:cluster';
import { Worker } from 'node:worker_threads';

const [, , how, file, ...args] = process.argv;
if (how === 'thread') {
  const worker = new Worker(file, { argv: args });
  worker.on('exit', code => process.exit(code));
} else {
  cluster.setupPrimary({ exec: file, args });
  for (let i = 0; i < 2; i++) cluster.fork();
}
process.stdin.on('end', () => process.exit(0)).resume();
