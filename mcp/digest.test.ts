import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson, inventoryDigest, toolDigest } from './digest.ts';
import type { Json } from './jsonrpc.ts';

describe('canonical JSON', () => {
  // RFC 8785, 3.2.2 and 3.2.3; numbers of appendix B.
  const vectors: Record<string, { value: Json; text: string }> = {
    'sorts members by UTF-16 code units': {
      value: { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 },
      text: '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}',
    },
    'writes numbers as ECMAScript does': {
      value: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0, 1e21, 9007199254740992],
      text: '[333333333.3333333,1e+30,4.5,0.002,1e-27,0,1e+21,9007199254740992]',
    },
    'escapes only what must be escaped': {
      value: '\u20ac$\u000f\nA\'\u0042\u0022\u005c\\"/',
      text: '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"',
    },
    'writes lone surrogates as escapes': { value: '\ud800', text: '"\\ud800"' },
    'keeps the order of arrays': { value: [3, [], {}, null, true], text: '[3,[],{},null,true]' },
    'is not fooled by a member called __proto__': {
      value: JSON.parse('{"b":1,"__proto__":{"a":2}}') as Json,
      text: '{"__proto__":{"a":2},"b":1}',
    },
  };
  test.each(Object.entries(vectors))('%s', (_, { value, text }) => {
    expect(canonicalJson(value)).toBe(text);
  });

  test('parses back to the same value, and is its own canonical form', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const once = JSON.parse(JSON.stringify(value)) as Json;
        const text = canonicalJson(once);
        expect(JSON.parse(text)).toEqual(once);
        expect(canonicalJson(JSON.parse(text) as Json)).toBe(text);
      }),
    );
  });

  test('does not depend on the order of members', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary', maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 8 }), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).toReversed());
        expect(canonicalJson(reversed as Json)).toBe(canonicalJson(value as Json));
      }),
    );
  });
});

describe('the digest of a tool', () => {
  const tool = { name: 'a', description: 'b', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } };
  const changes: Record<string, object> = {
    name: { name: 'b' },
    title: { title: 't' },
    description: { description: 'c' },
    inputSchema: { inputSchema: { type: 'object', required: [] } },
    outputSchema: { outputSchema: {} },
    annotations: { annotations: {} },
  };
  test.each(Object.entries(changes))('changes with its %s', (_, change) => {
    expect(toolDigest({ ...tool, ...change })).not.toBe(toolDigest(tool));
  });

  test('stays the same whatever icons, _meta and order of members', () => {
    expect(toolDigest({ _meta: { a: 1 }, icons: [], ...Object.fromEntries(Object.entries(tool).toReversed()) })).toBe(toolDigest(tool));
  });

  test('is this one, for ever: pins depend on it', () => {
    expect(toolDigest(tool)).toBe('sha256:ec208fabb39ad17fc274342cb2d6b143e209ad6a9d1cab33cd62b059a684f75d');
  });
});

test('the digest of an inventory ignores the order, but not a tool more or less', () => {
  const [a, b] = [
    { name: 'a', digest: 'x' },
    { name: 'b', digest: 'y' },
  ];
  expect(inventoryDigest([a, b])).toBe(inventoryDigest([b, a]));
  expect(inventoryDigest([a])).not.toBe(inventoryDigest([a, b]));
  expect(inventoryDigest([a, a])).not.toBe(inventoryDigest([a]));
});
