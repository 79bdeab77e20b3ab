import { describe, expect, it } from 'vitest';
import { gist, logTail, oneLine } from './quote.ts';

describe('logTail', () => {
  it('keeps the last five lines without colours and blanks', () => {
    expect(logTail('1\n2\n3\n\n\u001b[31m4\u001b[0m\n5\n6  \n')).toBe('2\n3\n4\n5\n6');
  });
  it('keeps the error above a stack trace', () => {
    const trace = ['at a', 'at b', 'at c', 'at d', 'at e', 'at f'];
    expect(logTail(['starting', "Error: EROFS: open '/x'", ...trace].join('\n')).split('\n')).toEqual([
      "Error: EROFS: open '/x'",
      ...trace.slice(1),
    ]);
  });
  it('is bounded', () => expect(logTail('x'.repeat(2000)).length).toBe(601));
  it('hides credentials', () => {
    expect(logTail('API_KEY=abcdef123456 Authorization: Bearer abcdefghijkl')).toBe('API_KEY=[redacted] Authorization: Bearer [redacted]');
  });
  it('hides what a URL, a colour or a bare token would give away', () => {
    expect(logTail('dial postgres://app:hunter2@db:5432')).toBe('dial postgres://[redacted]@db:5432');
    expect(logTail('token=\u001b[33mabcdefgh12\u001b[0m')).toBe('token=[redacted]');
    expect(logTail(`refused ghp_${'a1B2'.repeat(9)}`)).toBe('refused [redacted]');
  });
  it('leaves words alone', () =>
    expect(logTail('password required, token missing: see docs')).toBe('password required, token missing: see docs'));
  it('is empty for silence', () => expect(logTail(undefined)).toBe(''));
});

describe('oneLine', () => {
  it('folds white space', () => expect(oneLine('a\n  b\tc')).toBe('a b c'));
});

describe('gist', () => {
  const same: Record<string, [string, string]> = {
    'ephemeral ports': [
      'dial tcp: read udp 10.2.3.4:43212->10.0.0.10:53: i/o timeout',
      'dial tcp: read udp 10.2.3.9:1212->10.0.0.10:53: i/o timeout',
    ],
    'times in a log': ['2026-11-20T20:15:42.123Z ERROR no token', '2026-11-20T20:17:02.001Z ERROR no token'],
    'process ids and durations': ['[17] failed after 3.2s', '[2041] failed after 120ms'],
    'names of pods': ['pods "github-7d9f8c6b5-x2x7z" is forbidden', 'pods "github-55f4c9d8c-abc1z" is forbidden'],
  };
  for (const [name, [one, other]] of Object.entries(same)) it(`is the same with other ${name}`, () => expect(gist(one)).toBe(gist(other)));

  it('differs where the words do', () => expect(gist('secret "a" not found')).not.toBe(gist('secret "b" not found')));
});
