import type { Caller } from '../mcp/policy/caller.ts';
import type { Enforcement } from './enforcement.ts';
import type { ResponseRelay } from './relay/response.ts';

export type ListKind = 'tools' | 'prompts' | 'resources';

/** A stream that stays open: a legacy GET, or a modern `subscriptions/listen`. */
export interface OpenStream {
  readonly relay: ResponseRelay;
  readonly caller: Caller;
  /** The lists whose changes this stream carries. */
  readonly kinds: ReadonlySet<ListKind>;
  /** The notification that a list has changed, as this stream's era writes it. */
  notification(kind: ListKind): string;
  /** Whether the stream itself is still allowed. */
  allowed(enforcement: Enforcement): boolean;
}

/** What a caller can see of each list, by name. */
export type Sight = Readonly<Record<ListKind, readonly string[]>>;

/**
 * The open streams: told when a change of policy alters what their callers can see, ended when they are no longer allowed, when the
 * caller's credential ends, and when the guard drains.
 */
export class Streams {
  readonly #open = new Set<OpenStream>();
  /** Those that a sibling serves and this guard passes on. */
  readonly #handedOver = new Set<ResponseRelay>();

  get size(): number {
    return this.#open.size;
  }

  add(stream: OpenStream): void {
    this.#open.add(stream);
  }

  remove(stream: OpenStream): void {
    this.#open.delete(stream);
  }

  addHandedOver(relay: ResponseRelay): void {
    this.#handedOver.add(relay);
  }

  removeHandedOver(relay: ResponseRelay): void {
    this.#handedOver.delete(relay);
  }

  /** Something else is in force: compare what each caller sees, and tell those for whom it differs. */
  enforce(enforcement: Enforcement, sees: (caller: Caller, enforcement: Enforcement) => Sight, before: Enforcement | undefined): void {
    for (const stream of this.#open) {
      if (!stream.allowed(enforcement)) {
        stream.relay.close();
        continue;
      }
      if (before === undefined) continue;
      tell(stream, sees(stream.caller, before), sees(stream.caller, enforcement));
    }
  }

  /** Tells everybody that lists may have changed; who sees no change asks once for nothing. */
  announce(): void {
    for (const stream of this.#open) for (const kind of stream.kinds) stream.relay.inject(stream.notification(kind));
  }

  /** Ends all that this guard serves, or those of certain callers. */
  closeAll(of: (caller: Caller) => boolean = () => true): void {
    for (const stream of this.#open) if (of(stream.caller)) stream.relay.close();
  }

  /** Ends those as well that only pass through: their callers come back by way of another guard. */
  closeAllAndHandedOver(): void {
    this.closeAll();
    for (const relay of this.#handedOver) relay.close();
  }
}

function tell(stream: OpenStream, was: Sight, is: Sight): void {
  for (const kind of stream.kinds) {
    if (JSON.stringify(was[kind]) !== JSON.stringify(is[kind])) stream.relay.inject(stream.notification(kind));
  }
}
