import { describe, expect, test } from 'vitest';
import { contentText } from './content.ts';
import { age } from './output.ts';
import { duration } from './program.ts';
import { table } from './table.ts';

describe('an age', () => {
  const now = new Date('2026-11-20T12:00:00Z');
  test.each([
    ['2026-11-20T11:59:20Z', '40s'],
    ['2026-11-20T11:58:20Z', '100s'],
    ['2026-11-20T11:48:00Z', '12m'],
    ['2026-11-20T07:00:00Z', '5h'],
    ['2026-11-17T12:00:00Z', '3d'],
    ['2026-11-20T12:00:09Z', '0s'],
    ['yesterday', ''],
    [undefined, ''],
  ])('of %s is %s', (time, words) => {
    expect(age(time, now)).toBe(words);
  });
});

test('a table has columns as wide as their contents, also of wide characters, and no borders', () => {
  expect(
    table(
      ['name', 'state'],
      [
        ['a', '工具'],
        ['long-name', ''],
      ],
    ),
  ).toBe('NAME        STATE\na           工具\nlong-name\n');
});

test('a colour does not widen a column', () => {
  expect(table(['a', 'b'], [['\u001b[31mx\u001b[39m', 'y']])).toBe('A   B\n\u001b[31mx\u001b[39m   y\n');
});

describe('the content of a result', () => {
  const cases: Record<string, { result: object; text: string }> = {
    'is its texts': {
      result: {
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b\n' },
        ],
      },
      text: 'a\nb\n',
    },
    'names what is no text': {
      result: {
        content: [
          { type: 'image', mimeType: 'image/png', data: 'AAAA' },
          { type: 'resource_link', name: 'x', uri: 'file:///x' },
          { type: 'resource', resource: { uri: 'file:///y', blob: '' } },
          { type: 'hologram' },
          3,
        ],
      },
      text: '[image image/png, 3 bytes]\n[x: file:///x]\n[resource file:///y]\n[content of type hologram]\n[content of an unknown form]\n',
    },
    'is the structured one where there is no other': { result: { content: [], structuredContent: { a: 1 } }, text: '{\n  "a": 1\n}\n' },
    'may be empty': { result: {}, text: '' },
  };
  test.each(Object.entries(cases))('%s', (_, { result, text }) => {
    expect(contentText(result as never)).toBe(text);
  });
});

test('durations are seconds', () => {
  expect([duration('30s'), duration('5m'), duration('2h')]).toEqual([30, 300, 7200]);
  expect(() => duration('5')).toThrow('a duration such as');
});
