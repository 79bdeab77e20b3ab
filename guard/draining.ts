import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';

/**
 * The way out. Draining begins once and never ends: new sessions are refused, running calls finish, then streams are closed.
 *
 * Kubernetes signals the server container before the sidecar, so draining is begun by the sidecar's preStop over a Unix socket, and
 * the server's preStop waits on `/drained` (operator.md, Termination).
 */
export class Draining {
  readonly #grace: number;
  readonly #onIdle: () => void;
  readonly #idle = Promise.withResolvers<void>();
  #state: 'serving' | 'draining' | 'drained' = 'serving';
  #calls = 0;
  #deadline: NodeJS.Timeout | undefined;

  /** `grace`: milliseconds that running calls may take. `onIdle` closes the streams. */
  constructor(grace: number, onIdle: () => void) {
    this.#grace = grace;
    this.#onIdle = onIdle;
  }

  get active(): boolean {
    return this.#state !== 'serving';
  }

  /** Whether everything that was running has ended: what comes now would be cut off. */
  get over(): boolean {
    return this.#state === 'drained';
  }

  /** Calls that are running now. */
  get calls(): number {
    return this.#calls;
  }

  begin(): void {
    if (this.#state !== 'serving') return;
    this.#state = 'draining';
    this.#deadline = setTimeout(() => this.#finish(), this.#grace);
    this.#deadline.unref();
    this.#settle();
  }

  callStarted(): void {
    this.#calls += 1;
  }

  callEnded(): void {
    this.#calls -= 1;
    this.#settle();
  }

  /** Resolves when no call runs any more, or when the time is up. Pending until draining begins. */
  drained(): Promise<void> {
    return this.#idle.promise;
  }

  #settle(): void {
    if (this.#state === 'draining' && this.#calls === 0) this.#finish();
  }

  #finish(): void {
    if (this.#state === 'drained') return;
    this.#state = 'drained';
    clearTimeout(this.#deadline);
    this.#onIdle();
    this.#idle.resolve();
  }
}

/** Listens for the `drain` subcommand. Only processes that share the socket's directory, this container's own, reach it. */
export async function listenForDrain(path: string, begin: () => void): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    begin();
    socket.end('draining\n');
  });
  server.listen(path);
  await once(server, 'listening');
  return server;
}

/** The `drain` subcommand: tells the running guard to drain, and returns once it has begun. */
export async function requestDrain(path: string): Promise<void> {
  const socket = connect(path);
  socket.resume();
  await once(socket, 'close');
}
