import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AmbiguousKeyError, edited, elementSpans, memberSpans, spanAt } from './spans.ts';

/** JSON text with white space in all places where it may be. */
const spaced = fc
  .tuple(fc.json({ maxDepth: 4 }), fc.constantFrom(0, 1, 2, '\t', '\r\n '))
  .map(([text, indent]) =>
    JSON.stringify({ value: JSON.parse(text) as unknown, list: [JSON.parse(text), 1.5, 'a"\\'] }, undefined, indent),
  );

test('the spans of members and elements are exactly their values', () => {
  fc.assert(
    fc.property(spaced, (text) => {
      const whole = JSON.parse(text) as { value: unknown; list: unknown[] };
      for (const [key, span] of memberSpans(text, text.indexOf('{'))) {
        expect(JSON.parse(text.slice(span.start, span.end))).toEqual(whole[key as 'value' | 'list']);
      }
      const list = spanAt(text, ['list']);
      const elements = elementSpans(text, list?.start ?? 0).map((span) => JSON.parse(text.slice(span.start, span.end)) as unknown);
      expect(elements).toEqual(whole.list);
    }),
  );
});

test('an edit changes its place and no other byte', () => {
  const text = '{ "a" : 1.0, "b":[ 1 ,2], "c":"x" }';
  const span = spanAt(text, ['b']);
  if (span === undefined) throw new Error('b is there');
  expect(edited(text, [{ ...span, text: '[2]' }])).toBe('{ "a" : 1.0, "b":[2], "c":"x" }');
});

test('a key that appears twice is not taken for either', () => {
  expect(() => spanAt('{"a":1,"\\u0061":2}', ['a'])).toThrow(AmbiguousKeyError);
});
