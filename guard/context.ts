import type { Limiter } from '../mcp/policy/limiter.ts';
import type { AuditLog } from './audit/log.ts';
import type { BodyMemory } from './body.ts';
import type { Draining } from './draining.ts';
import type { Enforcement } from './enforcement.ts';
import type { Inventory } from './inventory.ts';
import type { KnownObjects } from './objects.ts';
import type { Metrics } from './metrics.ts';
import type { ListCache } from './relay/listcache.ts';
import type { Rounds } from './rounds.ts';
import type { Tasks } from './seals.ts';
import type { Conversations } from './session/conversations.ts';
import type { Peers } from './session/peers.ts';
import type { Sealer } from './session/seal.ts';
import type { Sessions } from './session/sessions.ts';
import type { Streams } from './streams.ts';
import type { Tracer } from './traces/tracer.ts';
import type { Upstream } from './upstream/upstream.ts';

/** What every request needs, put together once. */
export interface GuardContext {
  /** The path that callers use. */
  readonly path: string;
  /** Names this guard process; in seals and challenges. */
  readonly boot: string;
  readonly upstream: Upstream;
  readonly enforcement: () => Enforcement | undefined;
  readonly limiter: () => Limiter;
  readonly inventory: Inventory;
  readonly objects: KnownObjects;
  readonly lists: ListCache;
  readonly bodies: BodyMemory;
  readonly sealer: Sealer;
  readonly sessions: Sessions;
  readonly conversations: Conversations;
  readonly tasks: Tasks;
  readonly rounds: Rounds;
  readonly peers: Peers | undefined;
  /** Whichever guard of this server the Service chooses. */
  readonly siblings: Upstream | undefined;
  readonly streams: Streams;
  readonly draining: Draining;
  readonly audit: AuditLog;
  readonly metrics: Metrics;
  /** Absent: no traces are wanted. */
  readonly tracer: Tracer | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly newId: () => string;
  /** Label values that callers cannot invent. */
  readonly methodLabel: (method: string) => string;
  readonly versionLabel: (version: string | undefined) => string;
}
