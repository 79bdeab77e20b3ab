import { lineDigest } from '../mcp/auditchain.ts';
import { expect, test } from 'vitest';
import { criLines, type Line, secretsIn, Trail } from './trail.ts';

/** The log of a guard that closed these requests. */
function log(requests: readonly string[]): Line[] {
  let prev = '';
  return requests.map((requestId, index) => {
    const text = JSON.stringify({ audit: { seq: index + 1, prev, requestId } });
    prev = lineDigest(`${text}\n`);
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
  ['a record is missing', [first, third], /line 2: record 3 follows one that is not here/],
  ['the first one is missing', [second, third], /line 1: record 2 follows one that is not here/],
  ['a record was changed', [first, { ...second, text: second.text.replace('"b"', '"x"') }, third], /line 3: record 3 follows one/],
  ['two changed places', [second, first, third], /line 1: record 2 follows one/],
  ['something else is on standard output', [first, { stream: 'stdout', text: 'hello' }, second, third], /1 lines .* are no audit records/],
  ['records were left out', [{ ...first, text: first.text.replace('"seq"', '"gap":2,"seq"') }], /2 records were left out/],
  ['one log has two chains', [first, second, ...log(['d'])], /2 chains/],
])('it is found that %s', (_what, lines, finding) => {
  expect(findings(lines)).toContainEqual(expect.stringMatching(finding));
});

test('it is found that a request was closed twice, by one guard or by two', () => {
  expect(findings(log(['a', 'a']))).toEqual([expect.stringMatching(/line 2: request a was closed already by boot 0, line 1/)]);
  expect(findings(log(['a']), log(['a']))).toEqual([expect.stringMatching(/boot 1, line 1: request a was closed already by boot 0/)]);
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
