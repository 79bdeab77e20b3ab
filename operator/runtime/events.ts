import { createHash } from 'node:crypto';
import type { Client } from '../kube/client.ts';
import { isKubeError, KubeError } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { Events } from '../kube/resources.ts';
import type { Event } from '../kube/wire.ts';
import { microTime } from './conditions.ts';

export interface EventDetails {
  readonly type: 'Normal' | 'Warning';
  /** Why, in PascalCase; at most 128 characters. */
  readonly reason: string;
  /** What was done or failed, in PascalCase; at most 128 characters. */
  readonly action: string;
  /** For people; cut at 1024 bytes. */
  readonly note: string;
  readonly related?: KubeObject;
}

export interface EventRecorderOptions {
  readonly client: Client;
  /** `reportingController`: `example.dev/name`. */
  readonly controller: string;
  /** `reportingInstance`: this process. */
  readonly instance: string;
  /** Events waiting to be sent; more are dropped. client-go: 1,000. */
  readonly capacity?: number;
  /** Milliseconds between two updates of a series. */
  readonly seriesInterval?: number;
  readonly onDropped?: (reason: string) => void;
  readonly clock?: EventClock;
}

export interface EventClock {
  /** Monotonic milliseconds. */
  now(): number;
  wall(): Date;
  random(): number;
  /** Calls back once; returns what cancels it. */
  after(milliseconds: number, call: () => void): () => void;
}

interface Series {
  readonly key: string;
  readonly event: Event;
  count: number;
  lastObserved: Date;
  lastSeenAt: number;
  /** How many occurrences the API server knows. */
  sent: number;
  lastPatchAt: number;
  tries: number;
  queued: boolean;
}

/** client-go `tools/events`: tries, pause between them, and idle time after which a repeat starts a new event. */
const MAX_TRIES = 12;
const RETRY = 10_000;
const IDLE = 360_000;
const MAX_NOTE = 1024;

/**
 * Tells people what happened, as events.k8s.io/v1.
 *
 * Guarantees: `event` never waits and never throws; equal events become one object with a count; what cannot be sent is dropped,
 * never piled up. They go over connections of their own.
 *
 * Unlike client-go's, a different note is a different event: it is what tells two occurrences apart.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #client: Client;
  readonly #clock: EventClock;
  readonly #capacity: number;
  readonly #series = new Map<string, Series>();
  readonly #queue: Series[] = [];
  readonly #cancels = new Set<() => void>();
  #sending: Promise<void> | undefined;
  #stopped = false;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#client = options.client.with({ lane: 'events' });
    this.#clock = options.clock ?? systemEventClock;
    this.#capacity = options.capacity ?? 1000;
  }

  event(regarding: KubeObject, details: EventDetails): void {
    if (this.#stopped) return;
    const wall = this.#clock.wall();
    const now = this.#clock.now();
    const key = keyOfSeries(regarding, details);
    const known = this.#series.get(key);
    if (known !== undefined && now - known.lastSeenAt < IDLE) {
      known.count += 1;
      known.lastObserved = wall;
      known.lastSeenAt = now;
      this.#enqueue(known);
      return;
    }
    if (this.#queue.length >= this.#capacity) {
      this.#options.onDropped?.('the queue is full');
      return;
    }
    this.#forgetIdle(now);
    const series: Series = {
      key,
      event: this.#make(regarding, details, wall),
      count: 1,
      lastObserved: wall,
      lastSeenAt: now,
      sent: 0,
      lastPatchAt: Number.NEGATIVE_INFINITY,
      tries: 0,
      queued: false,
    };
    this.#series.set(key, series);
    this.#enqueue(series);
  }

  /** Sends what waits, counts of running series included, and ends. Gives up when the signal aborts. */
  async stop(signal?: AbortSignal): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#cancels) cancel();
    for (const series of this.#series.values()) if (series.sent < series.count) this.#push(series);
    const aborted = Promise.withResolvers<void>();
    if (signal?.aborted === true) return;
    signal?.addEventListener('abort', () => aborted.resolve(), { once: true });
    await Promise.race([this.#sending, aborted.promise]);
  }

  #make(regarding: KubeObject, { type, reason, action, note, related }: EventDetails, wall: Date): Event {
    const { name, namespace = 'default' } = regarding.metadata;
    const unique = `${wall.getTime().toString(16)}${Math.floor(this.#clock.random() * 2 ** 24).toString(16)}`;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${name.slice(0, 230)}.${unique}`, namespace },
      eventTime: microTime(wall),
      type,
      reason,
      action,
      note: cut(note, MAX_NOTE),
      regarding: reference(regarding),
      ...(related !== undefined && { related: reference(related) }),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance,
    };
  }

  /** A first occurrence goes at once, a series at most once per interval. */
  #enqueue(series: Series): void {
    if (series.queued) return;
    const wait = series.lastPatchAt + (this.#options.seriesInterval ?? 10_000) - this.#clock.now();
    if (wait > 0) this.#later(series, wait);
    else this.#push(series);
  }

  #later(series: Series, milliseconds: number): void {
    series.queued = true;
    const cancel = this.#clock.after(milliseconds, () => {
      this.#cancels.delete(stop);
      series.queued = false;
      this.#push(series);
    });
    const stop = (): void => {
      cancel();
      series.queued = false;
      this.#cancels.delete(stop);
    };
    this.#cancels.add(stop);
  }

  #push(series: Series): void {
    if (series.queued) return;
    series.queued = true;
    this.#queue.push(series);
    this.#sending ??= this.#drain();
  }

  async #drain(): Promise<void> {
    for (let series = this.#queue.shift(); series !== undefined; series = this.#queue.shift()) {
      series.queued = false;
      await this.#send(series);
    }
    this.#sending = undefined;
  }

  async #send(series: Series): Promise<void> {
    const { count, lastObserved, event } = series;
    if (series.sent >= count) return;
    try {
      if (series.sent === 0) await this.#client.create(Events, count === 1 ? event : { ...event, series: seriesOf(count, lastObserved) });
      else {
        await this.#client.mergePatch(Events, event.metadata, { series: seriesOf(count, lastObserved) });
        series.lastPatchAt = this.#clock.now();
      }
      series.sent = count;
      series.tries = 0;
      if (series.count > count) this.#enqueue(series);
    } catch (error) {
      this.#afterFailure(series, error);
    }
  }

  #afterFailure(series: Series, error: unknown): void {
    series.tries += 1;
    const gone = isKubeError(error, 'NotFound') && series.sent > 0;
    const passing = error instanceof KubeError && (error.code === 'Network' || error.status === 429 || error.status >= 500);
    // Its hour is over: the API server forgot the event, so the next occurrence makes another.
    if (gone || !passing || series.tries >= MAX_TRIES || this.#stopped) {
      this.#series.delete(series.key);
      if (!gone) this.#options.onDropped?.(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#later(series, RETRY * (0.75 + 0.5 * this.#clock.random()));
  }

  #forgetIdle(now: number): void {
    if (this.#series.size < this.#capacity) return;
    for (const [key, { lastSeenAt, queued }] of this.#series) {
      if (!queued && now - lastSeenAt >= IDLE) this.#series.delete(key);
    }
    // Should all be active, the oldest goes: it is only its count that is lost.
    for (const [key, { queued }] of this.#series) {
      if (this.#series.size < this.#capacity) return;
      if (!queued) this.#series.delete(key);
    }
  }
}

function keyOfSeries({ kind, metadata }: KubeObject, { type, reason, action, note, related }: EventDetails): string {
  const parts = [kind, metadata.namespace, metadata.name, metadata.uid, type, reason, action, note, related?.metadata.uid];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}

const seriesOf = (count: number, lastObserved: Date): { count: number; lastObservedTime: string } => ({
  count,
  lastObservedTime: microTime(lastObserved),
});

const reference = ({ apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } }: KubeObject): Record<string, string> => ({
  apiVersion,
  kind,
  name,
  ...(namespace !== undefined && { namespace }),
  ...(uid !== undefined && { uid }),
  ...(resourceVersion !== undefined && { resourceVersion }),
});

/** The API server counts bytes. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text, 'utf8');
  if (encoded.length <= bytes) return text;
  // A cut sequence decodes to a replacement character, which goes.
  return `${encoded
    .subarray(0, bytes - 3)
    .toString('utf8')
    .replace(/\uFFFD$/, '')}…`;
}

const systemEventClock: EventClock = {
  now: () => performance.now(),
  wall: () => new Date(),
  random: Math.random,
  after: (milliseconds, call) => {
    const timer = setTimeout(call, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
