import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { Client } from '../../mcp/connections.ts';
import { HttpUpstream } from '../upstream/http.ts';
import type { Sealer } from './seal.ts';

/** Where a guard proves who it is to its siblings. On the data port, the only one that siblings reach. */
export const PEER_PATH = '/.mcp-fleet/peer';

/**
 * Marks a request that a sibling handed over. Whoever writes it, a marked request is never handed over again; what it says of the caller's address counts
 * only under a seal, and tells callers without a name apart for limits alone.
 */
export const HOP_HEADER = 'x-mcp-fleet-hop';

/** How old a marker may be, milliseconds; clocks of nodes differ by less. */
const HOP_LIFETIME = 60_000;

/** The marker of a request that came from this address. */
export function hopMarker(sealer: Sealer, source: string | undefined, now: number): string {
  return sealer.seal('hop', [source ?? '', String(now)]);
}

/** The address that a guard of this server sealed into a marker; `undefined` for any other marker. */
export function hopSource(sealer: Sealer, marker: string | undefined, now: number): string | undefined {
  const [source, at] = marker === undefined ? [] : (sealer.open('hop', marker) ?? []);
  return source !== '' && Math.abs(now - Number(at)) <= HOP_LIFETIME ? source : undefined;
}

/**
 * A sibling that gives no proof within this time is not there. On a node that starts pods it may take a second to answer, and a living session that is
 * taken for unknown costs more than two seconds of waiting for a dead one.
 */
const PROOF_TIMEOUT = 3_000;
/** How long a proof is believed: short beside the time in which a pod address finds a new owner. */
const PROOF_LIFETIME = 1_000;
/** Siblings that connections are kept to. */
const MAXIMUM_PEERS = 64;

export interface PeerOptions {
  readonly sealer: Sealer;
  /** The data port of every guard of this server, and the path that callers use. */
  readonly port: number;
  readonly path: string;
  readonly now: () => number;
}

/**
 * The sibling guards of this server, found by the addresses that their session seals carry.
 *
 * Guarantees: nothing of a request reaches an address before the guard there has shown that it holds the sealing key and is the very
 * process that made the seal. Pod addresses are given to other pods, so an address alone proves nothing.
 */
export class Peers {
  readonly #options: PeerOptions;
  readonly #proofs = new Map<string, number>();
  readonly #asking = new Map<string, Promise<boolean>>();
  readonly #upstreams = new Map<string, HttpUpstream>();

  constructor(options: PeerOptions) {
    this.#options = options;
  }

  /** The sibling at an address, or `undefined` when it is not the one that is meant. */
  async find(address: string, boot: string): Promise<HttpUpstream | undefined> {
    const key = `${address} ${boot}`;
    if ((this.#proofs.get(key) ?? 0) < this.#options.now() && !(await this.#proven(key, address, boot))) return undefined;
    return this.#upstream(address);
  }

  /** A request to this address failed: whoever answers there next must prove itself anew. */
  forget(address: string): void {
    for (const key of this.#proofs.keys()) if (key.startsWith(`${address} `)) this.#proofs.delete(key);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#upstreams.values()].map((upstream) => upstream.close()));
  }

  /** Asks once for all requests that wait for the same proof. */
  #proven(key: string, address: string, boot: string): Promise<boolean> {
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking;
    const asked = this.#prove(address, boot).then((proven) => {
      this.#asking.delete(key);
      if (this.#proofs.size > MAXIMUM_PEERS) this.#proofs.clear();
      if (proven) this.#proofs.set(key, this.#options.now() + PROOF_LIFETIME);
      else this.#proofs.delete(key);
      return proven;
    });
    this.#asking.set(key, asked);
    return asked;
  }

  async #prove(address: string, boot: string): Promise<boolean> {
    const nonce = randomBytes(16).toString('hex');
    const client = new Client(this.#origin(address));
    try {
      const path = `${PEER_PATH}?nonce=${nonce}&boot=${encodeURIComponent(boot)}`;
      const response = await client.request({ method: 'GET', path, signal: AbortSignal.timeout(PROOF_TIMEOUT) });
      const proof = (await response.body.text()).slice(0, 64);
      return response.statusCode === 200 && this.#options.sealer.matches('peer', `${nonce} ${boot}`, Buffer.from(proof, 'base64url'));
    } catch {
      return false;
    } finally {
      void client.destroy();
    }
  }

  #origin(address: string): string {
    return `http://${isIPv6(address) ? `[${address}]` : address}:${this.#options.port}`;
  }

  #upstream(address: string): HttpUpstream {
    const known = this.#upstreams.get(address);
    if (known !== undefined) return known;
    for (const [oldest, upstream] of this.#upstreams) {
      if (this.#upstreams.size < MAXIMUM_PEERS) break;
      this.#upstreams.delete(oldest);
      void upstream.close();
    }
    const upstream = new HttpUpstream({ url: new URL(`${this.#origin(address)}${this.#options.path}`) });
    this.#upstreams.set(address, upstream);
    return upstream;
  }
}

/** The answer to a sibling's challenge: nothing for another process than the one that is asked for. */
export function proof(sealer: Sealer, boot: string, query: URLSearchParams): string | undefined {
  const nonce = query.get('nonce') ?? '';
  if (!/^[0-9a-f]{32}$/.test(nonce) || query.get('boot') !== boot) return undefined;
  return sealer.code('peer', `${nonce} ${boot}`).toString('base64url');
}
