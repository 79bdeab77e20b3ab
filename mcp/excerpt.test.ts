import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { excerpt, printable } from './excerpt.ts';

describe('printable text', () => {
  const cases: Record<string, { text: string; result: string }> = {
    'has no escape sequences': { text: '\u001b[31mred\u001b[0m', result: '\uFFFD[31mred\uFFFD[0m' },
    'has no line breaks': { text: 'a\r\n\u2028b\tc', result: 'a b c' },
    'has no NUL': { text: 'a\u0000b', result: 'a\uFFFDb' },
    'has no direction overrides': { text: 'a\u202Eb\u2066', result: 'a\uFFFDb\uFFFD' },
    'has no half characters': { text: 'a\ud800', result: 'a\uFFFD' },
    'keeps other scripts': { text: 'Grüße 你好 😀', result: 'Grüße 你好 😀' },
    'is cut': { text: 'abcdefghij', result: 'abcdefg…' },
    'is not cut inside a character': { text: '😀😀😀😀😀😀😀😀😀', result: '😀😀😀😀😀😀😀…' },
  };
  test.each(Object.entries(cases))('%s', (_, { text, result }) => {
    expect(printable(text, result.includes('…') ? 8 : 256)).toBe(result);
  });

  test('is bounded and free of control characters, whatever comes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (text, maximum) => {
        const result = printable(text, maximum);
        expect(Array.from(result).length).toBeLessThanOrEqual(maximum);
        expect(result.replaceAll('\uFFFD', '')).not.toMatch(/\p{C}|\n/u);
        expect(printable(result, maximum)).toBe(result);
      }),
    );
  });
});

describe('an excerpt', () => {
  const cases: Record<string, { text: string; secrets?: string[]; result: string }> = {
    'hides the values given': { text: 'got s3cret-value', secrets: ['s3cret-value'], result: '"got [redacted]"' },
    'hides what looks like a credential': { text: 'Authorization: Bearer abcdefghijkl', result: '"Authorization: Bearer [redacted]"' },
    'hides a password in JSON': { text: '{"password":"hunter2hunter2"}', result: '"{"password":"[redacted]"}"' },
    'hides user and password of a URL': { text: 'see https://a:b@c.example', result: '"see https://[redacted]@c.example"' },
    'does not hide words': { text: 'the token is missing', secrets: ['is'], result: '"the token is missing"' },
    'hides a value that the cut would halve': {
      text: `${'x'.repeat(155)} s3cret-value`,
      secrets: ['s3cret-value'],
      result: `"${'x'.repeat(155)} [re…"`,
    },
  };
  test.each(Object.entries(cases))('%s', (_, { text, secrets = [], result }) => {
    expect(excerpt(text, secrets)).toBe(result);
  });
});
