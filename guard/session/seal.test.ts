import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openFor, Sealer } from './seal.ts';

const key = (byte: number, length = 32): Buffer => Buffer.alloc(length, byte);
const sealer = (...keys: Buffer[]): Sealer => new Sealer(() => keys);

/** Of all characters, also around the length from which on texts get memory of their own. */
const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .tuple(fc.constantFrom('a', 'ü', '\u{1F512}'), fc.integer({ min: 1_340, max: 2_720 }))
    .map(([character, length]) => character.repeat(length)),
);

test('codes are HMAC-SHA-256, whatever the lengths of key and text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 100 }), texts, (bytes, text) => {
      const reference = createHmac('sha256', bytes).update(`session\0${text}`).digest().subarray(0, 16);
      expect(sealer(Buffer.from(bytes)).code('session', text)).toEqual(reference);
    }),
  );
});

test('what was sealed opens with the current and with the previous key, for its purpose alone', () => {
  const sealed = sealer(key(1)).seal('session', ['a', 'ü']);
  expect(sealer(key(1)).open('session', sealed)).toEqual(['a', 'ü']);
  expect(sealer(key(2), key(1)).open('session', sealed)).toEqual(['a', 'ü']);
  expect(sealer(key(2)).open('session', sealed)).toBeUndefined();
  expect(sealer(key(1)).open('task', sealed)).toBeUndefined();
});

test('nothing that was changed or made up opens', () => {
  const one = sealer(key(1));
  const sealed = one.seal('session', ['a']);
  fc.assert(
    fc.property(fc.nat(sealed.length - 1), fc.constantFrom('A', 'b', '7', '-', '.'), (at, character) => {
      fc.pre(sealed[at] !== character);
      const changed = `${sealed.slice(0, at)}${character}${sealed.slice(at + 1)}`;
      // The last character of base64 has bits that stand for nothing.
      if (one.open('session', changed) !== undefined) expect(at).toBe(sealed.length - 1);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(one.open('session', text)).toBeUndefined();
    }),
  );
});

test('a sealed value opens for its owner alone', () => {
  const sealed = sealer(key(1)).seal('task', ['alice', 'tool', 'task-1']);
  expect(openFor(sealer(key(1)), 'task', sealed, 'alice')).toEqual(['tool', 'task-1']);
  expect(openFor(sealer(key(1)), 'task', sealed, 'bob')).toBeUndefined();
});
