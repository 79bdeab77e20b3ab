import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Why something is wrong; `undefined` when it is not. */
export type Check = () => string | undefined;

export interface HealthOptions {
  readonly port: number;
  readonly host?: string;
  /** A process that fails one of these is to be restarted. */
  readonly live?: Readonly<Record<string, Check>>;
  /** A process that fails one of these gets no traffic. */
  readonly ready?: Readonly<Record<string, Check>>;
}

/** Probes: `/healthz` and `/readyz`, each with one line per failed check; `?verbose` names the others too. */
export class HealthServer {
  readonly #options: HealthOptions;
  readonly #server: Server;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
      const checks =
        pathname === '/healthz' || pathname === '/livez'
          ? (options.live ?? {})
          : pathname === '/readyz'
            ? (options.ready ?? {})
            : undefined;
      if (checks === undefined) {
        response.writeHead(404).end('not found\n');
        return;
      }
      const results = Object.entries(checks).map(([name, check]) => ({ name, problem: check() }));
      const failed = results.filter(({ problem }) => problem !== undefined);
      const shown = searchParams.has('verbose') ? results : failed;
      const lines = shown.map(({ name, problem }) => (problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`));
      response.writeHead(failed.length === 0 ? 200 : 503, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(`${[...lines, failed.length === 0 ? 'ok' : 'failed'].join('\n')}\n`);
    });
  }

  /** Resolves with the port. */
  async start(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(this.#options.port, this.#options.host, resolve);
    await promise;
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }
}

/** Fails while the event loop has not turned for `limit` milliseconds, and for one turn after. */
export function loopCheck(limit = 10_000, now: () => number = () => performance.now()): { check: Check; stop: () => void } {
  const beat = 1_000;
  let last = now();
  const timer = setInterval(() => {
    last = now();
  }, beat);
  timer.unref();
  return {
    check: () => {
      const late = now() - last - beat;
      return late > limit ? `the event loop was blocked for ${Math.round(late / 1000)} s` : undefined;
    },
    stop: () => clearInterval(timer),
  };
}
