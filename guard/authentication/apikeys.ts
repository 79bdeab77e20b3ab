import { hash, timingSafeEqual } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Caller } from '../../mcp/policy/caller.ts';
import { callerKey } from '../../mcp/policy/caller.ts';

/** API keys by user. */
export class ApiKeys {
  readonly #entries: readonly { readonly caller: Caller; readonly digest: Buffer }[];

  /** `keys`: user name and key. Empty keys are left out: nobody shall pass with an empty credential. */
  constructor(keys: ReadonlyMap<string, string>) {
    this.#entries = [...keys]
      .filter(([, key]) => key !== '')
      .map(([user, key]) => ({ caller: { type: 'apiKey', user }, digest: digest(key) }));
  }

  /** The user of a key. Takes the same time whichever key it is or is not: digests are compared, and all of them. */
  caller(key: string): Caller | undefined {
    const presented = digest(key);
    let found: Caller | undefined;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, presented)) found = entry.caller;
    return found;
  }

  /** Changes with every user and key, and tells neither. */
  get fingerprint(): string {
    const parts = this.#entries.map(({ caller, digest }) => `${callerKey(caller)} ${digest.toString('hex')}`);
    return hash('sha256', JSON.stringify(parts.toSorted((a, b) => (a < b ? -1 : 1))));
  }
}

function digest(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

/** Reads a mounted Secret: one file per user. Files that begin with a dot are the kubelet's own. */
export function readApiKeys(directory: string): ApiKeys {
  const keys = new Map<string, string>();
  for (const user of readdirSync(directory)) {
    if (!user.startsWith('.')) keys.set(user, readFileSync(join(directory, user), 'utf8').trim());
  }
  return new ApiKeys(keys);
}
