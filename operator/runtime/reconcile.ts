import type { Logger } from 'pino';
import type { Key } from '../kube/object.ts';

/** `undefined`: wait for the next change. Otherwise milliseconds until the key is reconciled again. */
export type Result = { readonly after: number } | undefined;

export interface ReconcileContext {
  /** Aborted when the reconcile took too long, leadership was lost or the process stops. Pass it to every request. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly reconcileID: string;
}

export interface Reconciler {
  /** Brings the world to what the object of this key asks for. Idempotent; called again after any change, also after its deletion. */
  reconcile(key: Key, context: ReconcileContext): Promise<Result>;
}

/** Retrying cannot help: the object must change. Counted, reported as Stalled, not retried. */
export class TerminalError extends Error {
  override readonly name: string = 'TerminalError';
  readonly reason: string;
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** Not a failure: something else must become ready first. `after` is in milliseconds. */
export class WaitingError extends Error {
  override readonly name: string = 'WaitingError';
  readonly after: number;
  constructor(message: string, after: number, options?: ErrorOptions) {
    super(message, options);
    this.after = after;
  }
}
