import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { IMAGE_ENVIRONMENT } from '../image.ts';

/** Bundles of their own: a build of the image meanwhile must not pull them away. */
export const BUNDLES = join(import.meta.dirname, '../.build');
/** `sysconf(_SC_CLK_TCK)` of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** The operator as users run it: the bundle, in a process of its own. */
export class OperatorProcess {
  readonly pid: number;
  readonly #exited: Promise<unknown>;
  readonly #healthPort: number;
  readonly #kill: (signal: NodeJS.Signals) => void;

  private constructor(pid: number, exited: Promise<unknown>, healthPort: number, kill: (signal: NodeJS.Signals) => void) {
    this.pid = pid;
    this.#exited = exited;
    this.#healthPort = healthPort;
    this.#kill = kill;
  }

  /** Spawns it; it is not ready yet. Its log is appended to `logPath`. */
  static async spawn(kubeconfig: string, logPath: string, flags: readonly string[] = []): Promise<OperatorProcess> {
    const port = await freePort();
    const log = createWriteStream(logPath, { flags: 'a' });
    await once(log, 'open');
    const child = spawn(
      process.execPath,
      ['--enable-source-maps', join(BUNDLES, 'operator.mjs'), `--health-port=${port}`, '--metrics-port=0', ...flags],
      {
        env: {
          PATH: process.env['PATH'],
          HOME: process.env['HOME'],
          KUBECONFIG: kubeconfig,
          ...IMAGE_ENVIRONMENT,
        },
        stdio: ['ignore', log, log],
      },
    );
    if (child.pid === undefined) throw new Error('the operator could not be started');
    const operator = new OperatorProcess(child.pid, once(child, 'exit'), port, (signal) => child.kill(signal));
    process.once('exit', () => child.kill('SIGKILL'));
    return operator;
  }

  /** Resolves when `/readyz` says 200. */
  async ready(): Promise<void> {
    const end = performance.now() + 120_000;
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${this.#healthPort}/readyz`).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.ok === true) return;
      if (performance.now() > end) throw new Error('the operator was not ready after two minutes');
      await delay(20);
    }
  }

  /** Resident memory in MiB. */
  async memory(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  }

  /** User and system time since its start, in seconds. */
  async cpuSeconds(): Promise<number> {
    const stat = await readFile(`/proc/${this.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** SIGTERM, unless said otherwise, and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#kill(signal);
    await this.#exited;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was free');
  return address.port;
}
