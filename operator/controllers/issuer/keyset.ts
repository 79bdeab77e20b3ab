import { createPublicKey } from 'node:crypto';
import { isObject } from '../../../mcp/jsonrpc.ts';

/** A public key as RFC 7517 writes it, with the members that verify a signature and no others. */
export type PublicKey = Readonly<Record<string, string>>;

/** Keys of one issuer: the large ones have fewer than 20, and all of a server's must fit into a ConfigMap. */
const MAX_KEYS = 32;
/** Characters of a member: an RSA modulus of 16,384 bits has 2,731. */
const MAX_MEMBER = 4_096;

/** What a key of each type is made of. Types that are not here are secrets (`oct`) or unknown to the guard. Source: RFC 7518, RFC 8037. */
const MEMBERS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['RSA', ['n', 'e']],
  ['EC', ['crv', 'x', 'y']],
  ['OKP', ['crv', 'x']],
]);
const DESCRIPTION = ['kid', 'alg', 'use'];

/** A document that has no key to verify a token with. `message` completes "the keys of … cannot be had: ". */
export class KeySetError extends Error {
  override readonly name = 'KeySetError';
}

/**
 * The public keys of a JSON Web Key Set, in an order that does not depend on the document's. Private members, certificates, symmetric keys and keys for
 * encryption are left out. Throws `KeySetError` when none remains.
 */
export function publicKeys(document: unknown): readonly PublicKey[] {
  if (!isObject(document) || !Array.isArray(document['keys'])) throw new KeySetError('what was found is no JSON Web Key Set');
  const entries: readonly unknown[] = document['keys'];
  const found = entries.map(publicKey).filter((key) => key !== undefined);
  if (found.length === 0) throw new KeySetError(`none of its ${entries.length} keys is a public key for signatures`);
  const distinct = new Map(found.map((key) => [JSON.stringify(key), key]));
  if (distinct.size > MAX_KEYS) throw new KeySetError(`it has ${distinct.size} keys, more than ${MAX_KEYS}`);
  return [...distinct].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => key);
}

function publicKey(entry: unknown): PublicKey | undefined {
  if (!isObject(entry)) return undefined;
  const { kty, use, alg } = entry;
  const members = MEMBERS.get(kty);
  if (members === undefined || (use !== undefined && use !== 'sig')) return undefined;
  // A public key under the name of a shared secret's algorithm is an attempt to have it taken for one.
  if (typeof alg === 'string' && /^(HS|none)/i.test(alg)) return undefined;
  const given = ['kty', ...DESCRIPTION, ...members].flatMap((name): [string, string][] => {
    const value = entry[name];
    return typeof value === 'string' && value.length <= MAX_MEMBER ? [[name, value]] : [];
  });
  const key: PublicKey = Object.fromEntries(given);
  try {
    createPublicKey({ key, format: 'jwk' });
    return key;
  } catch {
    return undefined;
  }
}
