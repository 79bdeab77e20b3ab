import type { Caller } from '../../mcp/policy/caller.ts';
import { callerKey } from '../../mcp/policy/caller.ts';
import type { Sealer } from './seal.ts';
import { ownerOf } from './seal.ts';

/** A session as its seal describes it. */
export type Session =
  /** The server of this pod holds it. */
  | { readonly place: 'here'; readonly upstreamId: string }
  /** Another pod does. */
  | { readonly place: 'elsewhere'; readonly address: string; readonly boot: string };

export interface SessionsOptions {
  readonly sealer: Sealer;
  /** Names this guard process among all that ever had its address. */
  readonly boot: string;
  /** Where siblings reach it; `undefined`: nowhere. */
  readonly address: string | undefined;
  readonly serverUid: () => string;
}

/**
 * Legacy session ids, sealed with the caller and the pod that they belong to. No store: what is not sealed by a guard of this server
 * for this caller is no session.
 */
export class Sessions {
  readonly #options: SessionsOptions;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** The id that the caller gets for one that the server assigned. */
  seal(upstreamId: string, caller: Caller): string {
    const { sealer, address, boot } = this.#options;
    return sealer.seal('session', [upstreamId, address ?? '', boot, this.owner(caller)]);
  }

  /** The session behind an id that a caller sent; `undefined` for unknown, foreign and forged ones alike. */
  open(sealed: string, caller: Caller): Session | undefined {
    const [upstreamId, address, boot, owner] = this.#options.sealer.open('session', sealed) ?? [];
    if (upstreamId === undefined || address === undefined || boot === undefined || owner !== this.owner(caller)) return undefined;
    if (boot === this.#options.boot) return { place: 'here', upstreamId };
    return address === '' ? undefined : { place: 'elsewhere', address, boot };
  }

  /** The caller at this server, for seals. Where an anonymous caller comes from is no part of who it is. */
  owner(caller: Caller): string {
    const { source: _, ...identity } = caller;
    return ownerOf(callerKey(identity), this.#options.serverUid());
  }
}
