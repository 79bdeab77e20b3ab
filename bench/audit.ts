import { open } from 'node:fs/promises';

/** One answered request in an API server's audit log (audit.k8s.io/v1, level Metadata). */
export interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly user?: { readonly username?: string };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
}

const MUTATING = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Lease renewals, reviews of tokens and rights, and events, which design/performance.md counts apart. */
const APART = new Set(['leases', 'tokenreviews', 'subjectaccessreviews', 'events']);

/** Reads an audit log from where it ended when this was made, or was last read. */
export class AuditTail {
  readonly #path: string;
  #offset = 0;
  #rest = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** Everything that was answered since the last call. */
  async read(): Promise<AuditEvent[]> {
    await using file = await open(this.#path, 'r');
    const { size } = await file.stat();
    const buffer = Buffer.alloc(size - this.#offset);
    await file.read(buffer, 0, buffer.length, this.#offset);
    this.#offset = size;
    const lines = (this.#rest + buffer.toString('utf8')).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditEvent)
      .filter(({ stage }) => stage === 'ResponseComplete');
  }

  /** Forgets what was answered so far. */
  async skip(): Promise<void> {
    await this.read();
  }
}

/** Writes of the operator, without lease renewals, reviews and events. */
export const operatorWrites = (events: readonly AuditEvent[]): AuditEvent[] =>
  events.filter(
    ({ verb, userAgent, objectRef }) =>
      MUTATING.has(verb) && userAgent?.startsWith('mcp-fleet-operator') === true && !APART.has(objectRef?.resource ?? ''),
  );

/** `patch deployments: 3, patch mcpservers/status: 1`, most frequent first. */
export function tally(events: readonly AuditEvent[]): string {
  const counts = new Map<string, number>();
  for (const { verb, objectRef } of events) {
    const what = `${verb} ${objectRef?.resource ?? '?'}${objectRef?.subresource === undefined ? '' : `/${objectRef.subresource}`}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return (
    [...counts]
      .toSorted((a, b) => b[1] - a[1])
      .map(([what, count]) => `${what}: ${count}`)
      .join(', ') || 'none'
  );
}
