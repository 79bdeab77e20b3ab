import type { MCPServer } from '../../../api/mcpserver.ts';
import type { Key } from '../../kube/object.ts';
import type { HorizontalPodAutoscaler } from '../../kube/wire.ts';
import { REQUEST_RATE_METRIC } from './autoscaler.ts';

/** What an autoscaler is to scale by and does not get, in words that stay the same while it lacks the same; `undefined`: nothing. */
export function missingMetrics({ spec, metadata }: MCPServer, autoscaler: HorizontalPodAutoscaler | undefined): string | undefined {
  const active = autoscaler?.status?.conditions?.find(({ type }) => type === 'ScalingActive');
  // Its controller has not looked yet, or nothing is to be scaled.
  if (spec.autoscaling === undefined || active === undefined || active.reason === 'ScalingDisabled') return undefined;
  const counted = (autoscaler?.status?.currentMetrics ?? []).some(({ pods }) => pods?.metric.name === REQUEST_RATE_METRIC);
  // With other metrics beside it the autoscaler is content, and silently ignores this one.
  if (spec.autoscaling.requestsPerSecond !== undefined && !counted)
    return `autoscaling.requestsPerSecond does not count: the custom metrics API has no ${REQUEST_RATE_METRIC} of these pods; install a metrics adapter with a rule for it, and let Prometheus scrape the guards (telemetry)`;
  // Its own reason is left out: it changes with whichever metric fails first.
  return active.status === 'False'
    ? `The autoscaler has no metrics to scale by: kubectl describe hpa ${metadata.name} says why`
    : undefined;
}

/** New pods have no metrics for a minute or two, and one scrape that fails is no news. */
export const METRICS_PATIENCE_MS = 180_000;

/** Since when something is wrong, so that what passes by itself is not told. In memory: what status tells already needs no patience. */
export class Patience {
  readonly #milliseconds: number;
  readonly #now: () => number;
  readonly #since = new Map<Key, number>();

  constructor(milliseconds: number, now: () => number) {
    this.#milliseconds = milliseconds;
    this.#now = now;
  }

  /** Whether something is wrong and has been for so long that it is to be told. */
  isOver(key: Key, wrong: boolean, told: boolean): boolean {
    if (!wrong || told) {
      this.#since.delete(key);
      return wrong;
    }
    this.#since.set(key, this.#since.get(key) ?? this.#now());
    return this.left(key) === undefined;
  }

  /** Milliseconds until what is wrong is to be told, should it last; `undefined`: there is nothing to wait for. */
  left(key: Key): number | undefined {
    const end = (this.#since.get(key) ?? Number.NEGATIVE_INFINITY) + this.#milliseconds;
    return end > this.#now() ? end - this.#now() : undefined;
  }

  forget(key: Key): void {
    this.#since.delete(key);
  }
}
