import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { isKubeError } from '../kube/errors.ts';
import type { Key } from '../kube/object.ts';
import { type Reconciler, TerminalError, WaitingError } from './reconcile.ts';
import type { Source } from './source.ts';
import { type AddOptions, WorkQueue, type WorkQueueOptions } from './workqueue.ts';

/** How a reconcile ended, in controller-runtime's words; `panic` and `timeout` are errors that are counted apart as well. */
export type Outcome = 'success' | 'requeue_after' | 'requeue' | 'error' | 'terminal' | 'panic' | 'timeout';

export interface ControllerObserver {
  started?(): void;
  finished?(outcome: Outcome, seconds: number): void;
}

export interface ControllerOptions {
  /** In logs and metrics. */
  readonly name: string;
  readonly reconciler: Reconciler;
  readonly sources: readonly Source[];
  readonly log: Logger;
  /** Reconciles at a time. Default 16: the API server's writes scale up to there on two cores. */
  readonly workers?: number;
  /** Milliseconds for one reconcile. Default 2 min. */
  readonly timeout?: number;
  /** Milliseconds between full passes, jittered by a tenth. They send nothing unless something was missed. Default 10 h. */
  readonly resync?: number;
  /** The keys of a full pass. */
  readonly keys?: () => Iterable<Key>;
  readonly queue?: WorkQueueOptions;
  readonly observer?: ControllerObserver;
  readonly random?: () => number;
}

/**
 * Workers that reconcile keys.
 *
 * Guarantees:
 * - a key is never reconciled by two workers at once, and again after any change that came meanwhile;
 * - an error, also one that is a bug, ends the reconcile alone: it is counted, logged with the reconcile's id, and retried with
 *   backoff unless it is terminal;
 * - no reconcile outlives its timeout or `stop` unnoticed: its signal aborts.
 */
export class Controller {
  readonly name: string;
  readonly workers: number;
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;
  readonly #timeout: number;
  readonly #stops: (() => void)[] = [];
  /** One per reconcile that runs. */
  readonly #active = new Set<AbortController>();
  #aborted = false;
  #running: Promise<void>[] = [];
  #resync: NodeJS.Timeout | undefined;

  constructor(options: ControllerOptions) {
    this.name = options.name;
    this.workers = options.workers ?? 16;
    this.queue = new WorkQueue(options.queue);
    this.#options = options;
    this.#timeout = options.timeout ?? 120_000;
  }

  /** Wakes a key from outside. */
  enqueue(key: Key, options?: AddOptions): void {
    this.queue.add(key, options);
  }

  /** Resolves when the caches it reads are complete. Sources fill the queue from here on, while workers still wait (warm standby). */
  async prepare(signal: AbortSignal): Promise<void> {
    const { sources } = this.#options;
    for (const source of sources) this.#stops.push(source.start((key, options) => this.queue.add(key, options)));
    await Promise.all(sources.flatMap(({ stores }) => stores.map((store) => store.whenSynced(signal))));
  }

  /** Starts the workers. Call after `prepare`. */
  start(): void {
    this.#running = Array.from({ length: this.workers }, () => this.#work());
    this.#scheduleResync();
  }

  /** Lets workers finish what they hold, for `grace` milliseconds; then their signals abort. Resolves when all are done. */
  async stop(grace: number): Promise<void> {
    for (const stop of this.#stops.splice(0)) stop();
    clearTimeout(this.#resync);
    this.queue.close();
    if (grace <= 0) this.#abortAll();
    const timer = setTimeout(() => this.#abortAll(), grace);
    await Promise.all(this.#running);
    clearTimeout(timer);
  }

  #abortAll(): void {
    this.#aborted = true;
    for (const abort of this.#active) abort.abort(new Error('the process stops'));
  }

  async #work(): Promise<void> {
    for (let key = await this.queue.take(); key !== undefined; key = await this.queue.take()) {
      await this.#reconcile(key);
    }
  }

  async #reconcile(key: Key): Promise<void> {
    const { reconciler, log, observer } = this.#options;
    const reconcileID = randomUUID();
    const logger = log.child({ controller: this.name, key, reconcileID });
    const abort = new AbortController();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      abort.abort(new Error(`reconcile took longer than ${this.#timeout} ms`));
    }, this.#timeout);
    this.#active.add(abort);
    const started = performance.now();
    let outcome: Outcome = 'success';
    observer?.started?.();
    try {
      const result = await reconciler.reconcile(key, { signal: abort.signal, log: logger, reconcileID });
      this.queue.forget(key);
      if (result !== undefined) {
        outcome = 'requeue_after';
        this.queue.add(key, { after: result.after });
      }
    } catch (error) {
      outcome = this.#afterError(key, error, timedOut, logger);
    } finally {
      clearTimeout(timer);
      this.#active.delete(abort);
      this.queue.done(key);
      observer?.finished?.(outcome, (performance.now() - started) / 1000);
    }
  }

  #afterError(key: Key, error: unknown, timedOut: boolean, log: Logger): Outcome {
    if (this.#aborted) return 'requeue';
    if (error instanceof TerminalError) {
      this.queue.forget(key);
      log.warn({ reason: error.reason, err: error }, 'reconcile stalled');
      return 'terminal';
    }
    if (error instanceof WaitingError) {
      this.queue.forget(key);
      this.queue.add(key, { after: error.after });
      log.debug({ after: error.after, waitingFor: error.message }, 'reconcile is waiting');
      return 'requeue_after';
    }
    this.queue.retry(key);
    // Another writer was faster. The change is on its way to the cache.
    if (isKubeError(error, 'Conflict')) {
      log.debug({ err: error }, 'reconcile met a conflict');
      return 'requeue';
    }
    if (timedOut) {
      log.error({ timeout: this.#timeout, err: error }, 'reconcile timed out');
      return 'timeout';
    }
    log.error({ err: error }, 'reconcile failed');
    return isPanic(error) ? 'panic' : 'error';
  }

  #scheduleResync(): void {
    const { resync = 36_000_000, keys, random = Math.random } = this.#options;
    if (keys === undefined) return;
    this.#resync = setTimeout(
      () => {
        for (const key of keys()) this.queue.add(key, { priority: 'low' });
        this.#scheduleResync();
      },
      resync * (0.9 + 0.2 * random()),
    );
    this.#resync.unref();
  }
}

/** What JavaScript throws for bugs rather than for the state of the world. */
const isPanic = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError || !(error instanceof Error);
