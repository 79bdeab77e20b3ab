import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Observation, TransportObserver } from '../kube/transport.ts';
import type { Controller, ControllerObserver } from './controller.ts';
import type { LeaderObserver } from './leaderelection.ts';
import type { ReflectorObserver } from './reflector.ts';
import type { QueueObserver, WorkQueue } from './workqueue.ts';

/** controller-runtime `pkg/internal/controller/metrics`. */
const RECONCILE_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5,
  5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
/** controller-runtime `pkg/metrics/workqueue.go`: 10 ns × 10ⁿ. */
const QUEUE_BUCKETS = Array.from({ length: 12 }, (_, power) => 1e-8 * 10 ** power);
/** client-go `tools/metrics` in component-base. */
const REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

const RESULTS = ['success', 'error', 'requeue', 'requeue_after'] as const;
const PRIORITIES = { normal: '0', low: '-100' } as const;
const CODES = ['200', '201', '404', '409', '429', '500', '503', '<error>'];
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * The metrics of a controller process under the names of controller-runtime, so that its dashboards and alerts work.
 *
 * Guarantees: nothing global (own registry); series exist with 0 from the start, so that `rate()` sees the first error.
 */
export class Metrics implements TransportObserver {
  readonly registry = new Registry();
  readonly #reconcileTotal: Counter<'controller' | 'result'>;
  readonly #reconcileErrors: Counter<'controller'>;
  readonly #terminalErrors: Counter<'controller'>;
  readonly #panics: Counter<'controller'>;
  readonly #timeouts: Counter<'controller'>;
  readonly #reconcileTime: Histogram<'controller'>;
  readonly #maxConcurrent: Gauge<'controller'>;
  readonly #active: Gauge<'controller'>;
  readonly #adds: Counter<'name' | 'controller'>;
  readonly #retries: Counter<'name' | 'controller'>;
  readonly #queueDuration: Histogram<'name' | 'controller'>;
  readonly #workDuration: Histogram<'name' | 'controller'>;
  readonly #requests: Counter<'code' | 'method' | 'host'>;
  readonly #requestDuration: Histogram<'verb' | 'host'>;
  readonly #requestRetries: Counter<'code' | 'verb' | 'host'>;
  readonly #master: Gauge<'name'>;
  readonly #slowPath: Counter<'name'>;
  readonly #watchLists: Counter<'store' | 'how'>;
  readonly #watchEvents: Counter<'store'>;
  readonly #watchRestarts: Counter<'store'>;
  readonly #watchFailures: Counter<'store'>;
  readonly #eventsDropped: Counter;
  readonly #queues = new Map<string, WorkQueue>();
  readonly #lastEventAt = new Map<string, number>();

  constructor({ process = true }: { /** Also Node's own metrics, event loop lag among them. */ readonly process?: boolean } = {}) {
    const registers = [this.registry];
    const counter = <L extends string>(name: string, help: string, ...labelNames: L[]): Counter<L> =>
      new Counter({ name, help, labelNames, registers });
    const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]): Gauge<L> =>
      new Gauge({ name, help, labelNames, registers });
    const histogram = <L extends string>(name: string, help: string, buckets: number[], ...labelNames: L[]): Histogram<L> =>
      new Histogram({ name, help, buckets, labelNames, registers });

    this.#reconcileTotal = counter('controller_runtime_reconcile_total', 'Reconciles by result.', 'controller', 'result');
    this.#reconcileErrors = counter('controller_runtime_reconcile_errors_total', 'Reconciles that failed.', 'controller');
    this.#terminalErrors = counter('controller_runtime_terminal_reconcile_errors_total', 'Reconciles that failed for good.', 'controller');
    this.#panics = counter('controller_runtime_reconcile_panics_total', 'Reconciles ended by a bug.', 'controller');
    this.#timeouts = counter('controller_runtime_reconcile_timeouts_total', 'Reconciles that took too long.', 'controller');
    this.#reconcileTime = histogram('controller_runtime_reconcile_time_seconds', 'Seconds per reconcile.', RECONCILE_BUCKETS, 'controller');
    this.#maxConcurrent = gauge('controller_runtime_max_concurrent_reconciles', 'Workers of a controller.', 'controller');
    this.#active = gauge('controller_runtime_active_workers', 'Workers that reconcile now.', 'controller');
    this.#adds = counter('workqueue_adds_total', 'Keys added.', 'name', 'controller');
    this.#retries = counter('workqueue_retries_total', 'Keys added again after a failure.', 'name', 'controller');
    this.#queueDuration = histogram('workqueue_queue_duration_seconds', 'Seconds a ready key waits.', QUEUE_BUCKETS, 'name', 'controller');
    this.#workDuration = histogram('workqueue_work_duration_seconds', 'Seconds a key is held.', QUEUE_BUCKETS, 'name', 'controller');
    this.#requests = counter('rest_client_requests_total', 'Requests to the API server.', 'code', 'method', 'host');
    this.#requestDuration = histogram('rest_client_request_duration_seconds', 'Seconds per request.', REQUEST_BUCKETS, 'verb', 'host');
    this.#requestRetries = counter('rest_client_request_retries_total', 'Requests repeated.', 'code', 'verb', 'host');
    this.#master = gauge('leader_election_master_status', '1 on the leader.', 'name');
    this.#slowPath = counter('leader_election_slowpath_total', 'Renewals that had to read the lease first.', 'name');
    this.#watchLists = counter('kube_watch_lists_total', 'Complete lists, streamed or paged.', 'store', 'how');
    this.#watchEvents = counter('kube_watch_events_total', 'Events received.', 'store');
    this.#watchRestarts = counter('kube_watch_restarts_total', 'Watches begun.', 'store');
    this.#watchFailures = counter('kube_watch_failures_total', 'Lists and watches that failed.', 'store');
    this.#eventsDropped = counter('kube_events_dropped_total', 'Kubernetes events that could not be sent.');
    this.#collected('workqueue_depth', 'Keys that are ready.', ['name', 'controller', 'priority'], (set) => {
      for (const [name, queue] of this.#queues) {
        for (const priority of ['normal', 'low'] as const) {
          set({ name, controller: name, priority: PRIORITIES[priority] }, queue.ready(priority));
        }
      }
    });
    const held = (reduce: (ages: number[]) => number) => (set: (labels: Record<string, string>, value: number) => void) => {
      const now = performance.now();
      for (const [name, queue] of this.#queues) {
        set({ name, controller: name }, reduce([...queue.heldSince()].map((since) => (now - since) / 1000)));
      }
    };
    const labels = ['name', 'controller'];
    this.#collected(
      'workqueue_unfinished_work_seconds',
      'Sum of how long keys are held now.',
      labels,
      held((ages) => ages.reduce((a, b) => a + b, 0)),
    );
    this.#collected(
      'workqueue_longest_running_processor_seconds',
      'How long the longest is held.',
      labels,
      held((ages) => Math.max(0, ...ages)),
    );
    this.#collected('kube_watch_last_event_age_seconds', 'Since the last event or bookmark.', ['store'], (set) => {
      for (const [store, at] of this.#lastEventAt) set({ store }, (performance.now() - at) / 1000);
    });
    if (process) collectDefaultMetrics({ register: this.registry });
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  finished({ method, host, code, seconds }: Observation): void {
    this.#requests.inc({ code, method, host });
    this.#requestDuration.observe({ verb: method, host }, seconds);
  }

  retried(method: string, host: string, code: string): void {
    this.#requestRetries.inc({ code, verb: method, host });
  }

  /** Makes the series of requests to `host`. */
  initializeHost(host: string): void {
    for (const method of METHODS) {
      for (const code of CODES) this.#requests.inc({ code, method, host }, 0);
      this.#requestDuration.zero({ verb: method, host });
    }
    for (const code of ['429', '503', '<error>']) for (const verb of METHODS) this.#requestRetries.inc({ code, verb, host }, 0);
  }

  /** Makes the series of a controller and its queue. */
  controller(name: string, workers: number): { controller: ControllerObserver; queue: QueueObserver } {
    const labels = { controller: name };
    const queueLabels = { name, controller: name };
    for (const result of RESULTS) this.#reconcileTotal.inc({ ...labels, result }, 0);
    for (const counter of [this.#reconcileErrors, this.#terminalErrors, this.#panics, this.#timeouts]) counter.inc(labels, 0);
    this.#reconcileTime.zero(labels);
    this.#maxConcurrent.set(labels, workers);
    this.#active.set(labels, 0);
    for (const counter of [this.#adds, this.#retries]) counter.inc(queueLabels, 0);
    for (const histogram of [this.#queueDuration, this.#workDuration]) histogram.zero(queueLabels);
    return {
      controller: {
        started: () => this.#active.inc(labels),
        finished: (outcome, seconds) => {
          this.#active.dec(labels);
          this.#reconcileTime.observe(labels, seconds);
          const failed = outcome === 'error' || outcome === 'terminal' || outcome === 'panic' || outcome === 'timeout';
          this.#reconcileTotal.inc({ ...labels, result: failed ? 'error' : outcome });
          if (failed) this.#reconcileErrors.inc(labels);
          if (outcome === 'terminal') this.#terminalErrors.inc(labels);
          if (outcome === 'panic') this.#panics.inc(labels);
          if (outcome === 'timeout') this.#timeouts.inc(labels);
        },
      },
      queue: {
        added: () => this.#adds.inc(queueLabels),
        retried: () => this.#retries.inc(queueLabels),
        taken: (seconds) => this.#queueDuration.observe(queueLabels, seconds),
        done: (seconds) => this.#workDuration.observe(queueLabels, seconds),
      },
    };
  }

  /** Shows depth and unfinished work of the controller's queue. */
  queueOf({ name, queue }: Pick<Controller, 'name' | 'queue'>): void {
    this.#queues.set(name, queue);
  }

  reflector(store: string): ReflectorObserver {
    for (const how of ['streamed', 'paged']) this.#watchLists.inc({ store, how }, 0);
    for (const counter of [this.#watchEvents, this.#watchRestarts, this.#watchFailures]) counter.inc({ store }, 0);
    return {
      listed: (how) => {
        this.#watchLists.inc({ store, how });
        this.#lastEventAt.set(store, performance.now());
      },
      event: () => {
        this.#watchEvents.inc({ store });
        this.#lastEventAt.set(store, performance.now());
      },
      failed: () => this.#watchFailures.inc({ store }),
      watching: () => this.#watchRestarts.inc({ store }),
    };
  }

  leader(name: string): LeaderObserver {
    this.#master.set({ name }, 0);
    this.#slowPath.inc({ name }, 0);
    return {
      leading: (leading) => this.#master.set({ name }, leading ? 1 : 0),
      slowPath: () => this.#slowPath.inc({ name }),
    };
  }

  eventDropped(): void {
    this.#eventsDropped.inc();
  }

  #collected(
    name: string,
    help: string,
    labelNames: string[],
    collect: (set: (labels: Record<string, string>, value: number) => void) => void,
  ): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect: () => collect((labels, value) => gauge.set(labels, value)),
    });
  }
}
