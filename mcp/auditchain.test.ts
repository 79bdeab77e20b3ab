import { expect, test } from 'vitest';
import { AuditChains, lineDigest } from './auditchain.ts';

function chain(length: number, name = 'a'): string[] {
  const lines: string[] = [];
  for (let seq = 1; seq <= length; seq += 1) {
    const last = lines.at(-1);
    const prev = last === undefined ? '' : lineDigest(`${last}\n`);
    lines.push(JSON.stringify({ audit: { time: 't', seq, prev, ...(seq === 3 ? { gap: 2 } : {}), method: name } }));
  }
  return lines;
}

function verify(lines: readonly string[]): unknown {
  const chains = new AuditChains();
  for (const line of lines) chains.take(line);
  const { breaks, ...rest } = chains.report();
  return { ...rest, breaks: breaks.map(({ line, problem }) => `${line}: ${problem.slice(0, 40)}`) };
}

const whole = { records: 4, boots: 1, missing: 2, breaks: [] };
const [one = '', two = '', three = '', four = ''] = chain(4);
const other = chain(3, 'b');
const UNKNOWN = 'follows one that is not here as';

test.each([
  ['a whole log', [one, two, three, four], whole],
  ['with other lines between', ['started', one, '{"level":"info"}', two, '', three, four], whole],
  ['with what kubectl puts before', [one, two, three, four].map((line) => `[pod/x-1/guard] 2026-11-28T00:00:00Z ${line}`), whole],
  ['with the line ends of Windows', [one, two, three, four].map((line) => `${line}\r`), whole],
  [
    'of two guards, mixed',
    [one, other[0] ?? '', two, other[1] ?? '', other[2] ?? '', three, four],
    { records: 7, boots: 2, missing: 4, breaks: [] },
  ],
  ['with a changed record', [one, two.replace('"a"', '"b"'), three, four], { ...whole, breaks: [`3: record 3 ${UNKNOWN}`.slice(0, 43)] }],
  ['with a removed record', [one, three, four], { ...whole, records: 3, breaks: [`2: record 3 ${UNKNOWN}`.slice(0, 43)] }],
  [
    'in another order',
    [one, three, two, four],
    expect.objectContaining({ breaks: expect.arrayContaining([expect.stringMatching(/^2: /)]) }),
  ],
  ['with a record twice', [one, two, two, three, four], expect.objectContaining({ breaks: [expect.stringMatching(/^3: /)] })],
  [
    'with a half record',
    [one, two.slice(0, 40), three],
    expect.objectContaining({ breaks: ['2: the record is not whole', expect.stringMatching(/^3: /)] }),
  ],
  ['without its beginning', [three, four], expect.objectContaining({ boots: 0, breaks: [expect.stringMatching(/^1: /)] })],
  ['without records', ['x'], { records: 0, boots: 0, missing: 0, breaks: [] }],
])('a log %s', (_what, lines, expected) => {
  expect(verify(lines)).toEqual(expected);
});
