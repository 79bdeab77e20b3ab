import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

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
  readonly #left = Promise.withResolvers<void>();
  #state: 'serving' | 'draining' | 'drained' = 'serving';
  #calls = 0;
  #deadline: NodeJS.Timeout | undefined;
  #leaving = false;
  readonly #now: () => number;
  #overSince: number | undefined;

  /** `grace`: milliseconds that running calls may take. `onIdle` closes the streams. `now`: any clock of milliseconds that never goes back. */
  constructor(grace: number, onIdle: () => void, now: () => number = () => performance.now()) {
    this.#grace = grace;
    this.#onIdle = onIdle;
    this.#now = now;
  }

  get active(): boolean {
    return this.#state !== 'serving';
  }

  /** Whether everything that was running has ended: what comes now would be cut off. */
  get over(): boolean {
    return this.#state === 'drained';
  }

  /** Whether connections should end with their answers: whoever connects anew reaches another pod. True also while draining. */
  get leaving(): boolean {
    return this.#leaving || this.active;
  }

  /** The pod is going: everything is still served, but on no connection twice. */
  leave(): void {
    this.#leaving = true;
    this.#left.resolve();
  }

  /** What is left of so many milliseconds since draining was over. */
  left(milliseconds: number): number {
    return Math.max(0, milliseconds - (this.#now() - (this.#overSince ?? this.#now())));
  }

  /** Calls that are running now. */
  get calls(): number {
    return this.#calls;
  }

  begin(): void {
    if (this.#state !== 'serving') return;
    this.#state = 'draining';
    this.#left.resolve();
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

  /**
   * When the container of the server may end: once all is drained if the pod goes, and after `patience` milliseconds if nobody has said by then that it does.
   * Then the kubelet replaces that container alone, and waiting for a drain that never begins would only keep a stuck server from its restart.
   */
  async released(patience: number): Promise<void> {
    if (!this.leaving) await Promise.race([this.#left.promise, delay(patience, undefined, { ref: false })]);
    if (this.leaving) await this.drained();
  }

  #settle(): void {
    if (this.#state === 'draining' && this.#calls === 0) this.#finish();
  }

  #finish(): void {
    if (this.#state === 'drained') return;
    this.#state = 'drained';
    this.#overSince = this.#now();
    clearTimeout(this.#deadline);
    this.#onIdle();
    this.#idle.resolve();
  }
}

/** What the `drain` subcommand asks for. */
export interface DrainRequests {
  readonly leave: () => void;
  readonly begin: () => void;
}

/** Listens for the `drain` subcommand. Only processes that share the socket's directory, this container's own, reach it. */
export async function listenForDrain(path: string, { leave, begin }: DrainRequests): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let asked = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      asked += chunk.toString();
    });
    socket.on('end', () => {
      if (asked === LEAVE) leave();
      else begin();
      socket.end('done\n');
    });
  });
  server.listen(path);
  await once(server, 'listening');
  return server;
}

const LEAVE = 'leave';

/** The `drain` subcommand: tells the running guard to take leave or to drain, and returns once it does. */
export async function requestDrain(path: string, what: 'leave' | 'begin' = 'begin'): Promise<void> {
  const socket = connect(path);
  socket.resume();
  socket.end(what === 'leave' ? LEAVE : '');
  await once(socket, 'close');
}
