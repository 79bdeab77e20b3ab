import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { publicKeys } from './keyset.ts';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');
const publicJwk = ec.publicKey.export({ format: 'jwk' });
const { kty, crv, x, y } = publicJwk;

describe('the keys of a key set', () => {
  it('are those that verify signatures, of every kind', () => {
    const keys = [ec, rsa, ed].map(({ publicKey }, at) => ({ ...publicKey.export({ format: 'jwk' }), kid: `k${at}`, use: 'sig' }));
    expect(publicKeys({ keys }).map((key) => key['kid'])).toHaveLength(3);
    expect(publicKeys({ keys })).toEqual(expect.arrayContaining(keys));
  });

  it('lose what is private, and everything that no signature needs', () => {
    const private_ = { ...ec.privateKey.export({ format: 'jwk' }), kid: 'a', x5c: ['MII…'], key_ops: ['sign'], comment: 'x' };
    expect(publicKeys({ keys: [private_] })).toEqual([{ kty, kid: 'a', crv, x, y }]);
    const rsaPrivate = { ...rsa.privateKey.export({ format: 'jwk' }), kid: 'b' };
    expect(Object.keys(publicKeys({ keys: [rsaPrivate] })[0] ?? {}).toSorted()).toEqual(['e', 'kid', 'kty', 'n']);
  });

  it('do not depend on the order in which they stand, and count once', () => {
    const [a, b] = [ec, ed].map(({ publicKey }) => publicKey.export({ format: 'jwk' }));
    expect(publicKeys({ keys: [a, b] })).toEqual(publicKeys({ keys: [b, a, b] }));
  });

  const left: Record<string, unknown> = {
    'a shared secret': { kty: 'oct', k: 'c2VjcmV0' },
    'a public key for HMAC': { ...publicJwk, alg: 'HS256' },
    'a public key for no algorithm': { ...publicJwk, alg: 'none' },
    'a key for encryption': { ...publicJwk, use: 'enc' },
    'a type that nobody knows': { kty: 'XYZ', x: 'abc' },
    'a point that is on no curve': { ...publicJwk, y: x },
    'a modulus that is too long': { kty: 'RSA', e: 'AQAB', n: 'x'.repeat(5_000) },
    'a member that is no text': { ...publicJwk, x: 5 },
    'no key': null,
  };
  for (const [what, key] of Object.entries(left)) {
    it(`leave out ${what}`, () => {
      expect(publicKeys({ keys: [key, publicJwk] })).toEqual([{ kty, crv, x, y }]);
      expect(() => publicKeys({ keys: [key] })).toThrow('none of its 1 keys is a public key for signatures');
    });
  }

  it('must be in a key set, and not too many', () => {
    for (const document of [null, [], 'x', {}, { keys: {} }]) expect(() => publicKeys(document)).toThrow('no JSON Web Key Set');
    expect(() => publicKeys({ keys: [] })).toThrow('none of its 0 keys');
    const many = Array.from({ length: 33 }, (_, at) => ({ ...publicJwk, kid: `${at}` }));
    expect(() => publicKeys({ keys: many })).toThrow('33 keys, more than 32');
  });
});
