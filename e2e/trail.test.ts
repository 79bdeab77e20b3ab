import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { criLines, type Line, secretsIn, Trail } from './trail.ts';

/** The log of a guard that closed these requests. */
function log(requests: readonly string[]): Line[] {
  let prev = '';
  return requests.map((requestId, index) => {
    const text = JSON.stringify({ audit: { seq: index + 1, prev, requestId } });
    prev = `sha256:${createHash('sha256').update(`${text}\n`).digest('hex')}`;
    return { stream: 'stdout', text };
  });
}

const findings = (...boots: readonly (readonly Line[])[]): readonly string[] => {
  const trail = new Trail();
  for (const [index, lines] of boots.entries()) trail.add(`boot ${index}`, lines);
  return trail.findings;
};
const whole = log(['a', 'b', 'c']);
const [first, second, third] = whole as [Line, Line, Line];

test('whole logs have no findings, whatever is said on standard error', () => {
  expect(findings([first, { stream: 'stderr', text: 'started' }, second, third], log(['d']))).toEqual([]);
});

test.each([
  ['a record is missing', [first, third], /record 3: follows record 1/],
  ['the first one is missing', [second, third], /record 2: follows record 0/],
  ['a record was changed', [first, { ...second, text: second.text.replace('"b"', '"x"') }, third], /record 3: its prev is not/],
  ['two changed places', [second, first, third], /record 2: its prev is not/],
  ['something else is on standard output', [first, { stream: 'stdout', text: 'hello' }, second, third], /no audit record.*hello/],
  ['records were left out', [{ ...first, text: first.text.replace('"seq"', '"gap":2,"seq"') }], /2 records were left out/],
])('it is found that %s', (_what, lines, finding) => {
  expect(findings(lines)).toContainEqual(expect.stringMatching(finding));
});

test('it is found that a request was closed twice, by one guard or by two', () => {
  expect(findings(log(['a', 'a']))).toEqual([expect.stringMatching(/request a was closed already by boot 0, record 1/)]);
  expect(findings(log(['a']), log(['a']))).toEqual([expect.stringMatching(/boot 1, record 1: request a was closed already by boot 0/)]);
});

test('lines that the runtime split are put together, and what was still being written is left out', () => {
  const content = ['T stdout P {"a":', 'T stderr F other', 'T stdout F 1}', 'T stdout F {"b'].join('\n');
  expect(criLines(content)).toEqual([
    { stream: 'stderr', text: 'other' },
    { stream: 'stdout', text: '{"a":1}' },
  ]);
});

test('planted secrets and tokens of anybody are recognised', () => {
  const token = ['{"alg":"RS256"}', '{"sub":"ann"}', 'signature-of-it'].map((part) => Buffer.from(part).toString('base64url')).join('.');
  expect(secretsIn(`a planted-secret-1 and Bearer ${token}.`, ['planted-secret', 'x-y-z'])).toEqual([
    'planted-secret',
    expect.stringContaining('token'),
  ]);
  expect(secretsIn('sha256:0123 eyJ.eyJ', ['planted-secret'])).toEqual([]);
});
