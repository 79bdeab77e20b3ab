import { lineDigest } from '../../mcp/auditchain.ts';
import type { Caller } from '../../mcp/policy/caller.ts';
import type { ObjectFacts, Origin } from '../../mcp/policy/decision.ts';
import type { LineSink } from './sink.ts';

/** One closing record, guard.md "Audit". No token, session id or argument value is in it unless the level is Arguments, redacted. */
export interface AuditRecord {
  readonly server: { readonly namespace: string; readonly name: string };
  readonly caller: AuditCaller | undefined;
  /** What the client says of itself. */
  readonly client: string | undefined;
  readonly method: string;
  readonly object: ({ readonly type: string; readonly name: string } & ObjectFacts) | undefined;
  readonly decision: 'allow' | 'deny' | 'wouldDeny' | 'error';
  readonly code: string;
  readonly origin: Origin;
  /** Why nobody needs to guess: the cause of an error. */
  readonly cause: string | undefined;
  readonly arguments: { readonly digest: string } | { readonly redacted: unknown } | undefined;
  readonly result: { readonly status: number; readonly error: string | undefined; readonly bytes: number };
  readonly timing: { readonly totalMs: number; readonly guardMs: number; readonly upstreamMs: number };
  readonly requestId: string;
  readonly traceId: string | undefined;
}

export interface AuditCaller {
  readonly type: Caller['type'];
  readonly issuer?: string;
  readonly subject?: string;
  readonly groups?: readonly string[];
  readonly tunnel?: string;
}

/** Names that come from callers are cut here, so that nobody fills the log with one. */
const MAXIMUM_NAME = 256;

/**
 * The audit log: JSON lines that are chained by the SHA-256 of the line before, from the first of this process on.
 *
 * Guarantees: every record that is not written is counted in the next one that is (`gap`); a record never spans lines.
 */
export class AuditLog {
  readonly #sink: LineSink;
  readonly #now: () => number;
  #seq = 0;
  #prev = '';
  #gap = 0;

  constructor(sink: LineSink, now: () => number) {
    this.#sink = sink;
    this.#now = now;
  }

  /** Whether a record given now would be written, as far as can be known: `onFailure: Block` goes by it. */
  get writable(): boolean {
    return this.#sink.healthy;
  }

  /** Records that were left out since the last one that was written. */
  get missing(): number {
    return this.#gap;
  }

  /** @param urgent written at once, and not with what gathers */
  write(record: AuditRecord, urgent = false): void {
    const { object, origin } = record;
    // Written out: to spread a record takes as long as to hash it.
    const body = {
      time: new Date(this.#now()).toISOString(),
      seq: this.#seq + 1,
      prev: this.#prev,
      gap: this.#gap === 0 ? undefined : this.#gap,
      server: record.server,
      decision: record.decision,
      code: record.code,
      arguments: record.arguments,
      result: record.result,
      timing: record.timing,
      requestId: record.requestId,
      method: record.method.slice(0, MAXIMUM_NAME),
      caller: record.caller,
      client: record.client?.slice(0, MAXIMUM_NAME),
      object: object === undefined ? undefined : { ...object, name: object.name.slice(0, MAXIMUM_NAME) },
      policy: origin.policy,
      rule: origin.rule,
      generation: origin.generation,
      tier: origin.tier,
      cause: record.cause,
      traceId: record.traceId,
    };
    const line = `${JSON.stringify({ audit: body })}\n`;
    if (!this.#sink.offer(line, urgent)) {
      this.#gap += 1;
      return;
    }
    this.#gap = 0;
    this.#seq += 1;
    this.#prev = lineDigest(line);
  }
}

/** The caller as the log names it. */
export function auditCaller(caller: Caller): AuditCaller {
  const tunnel = caller.tunnel === undefined ? {} : { tunnel: caller.tunnel };
  switch (caller.type) {
    case 'anonymous':
      return { type: caller.type, ...tunnel };
    case 'serviceAccount':
      return { type: caller.type, subject: `${caller.namespace}/${caller.name}`, ...tunnel };
    case 'apiKey':
      return { type: caller.type, subject: caller.user, ...tunnel };
    case 'jwt':
      return {
        type: caller.type,
        issuer: caller.issuer,
        subject: caller.subject,
        ...(caller.groups === undefined ? {} : { groups: caller.groups }),
        ...tunnel,
      };
  }
}
