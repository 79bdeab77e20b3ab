import { expect, test } from 'vitest';
import { flakes, summary, tally } from './tally.ts';

function report(...files: readonly { status: string; tests: readonly string[] }[]): string {
  const testResults = files.map(({ status, tests }) => ({ status, assertionResults: tests.map((each) => ({ status: each })) }));
  return JSON.stringify({ success: true, testResults });
}

test.each([
  [
    'counts tests by their outcome',
    report({ status: 'passed', tests: ['passed', 'passed', 'skipped', 'todo'] }),
    0,
    '2 passed, 0 failed, 2 skipped',
  ],
  ['counts failed tests once', report({ status: 'failed', tests: ['passed', 'failed'] }), 1, '1 passed, 1 failed, 0 skipped'],
  ['counts a file that could not be loaded', report({ status: 'failed', tests: [] }), 1, '0 passed, 1 failed, 0 skipped'],
  ['counts a failed hook', report({ status: 'failed', tests: ['passed', 'skipped'] }), 1, '1 passed, 1 failed, 1 skipped'],
  ['counts an unhandled rejection', report({ status: 'passed', tests: ['passed'] }), 1, '1 passed, 1 failed, 0 skipped'],
  ['counts a run that left no report', undefined, 137, '0 passed, 1 failed, 0 skipped'],
  ['counts an empty suite as nothing', report(), 0, '0 passed, 0 failed, 0 skipped'],
])('%s', (_, text, exitCode, expected) => {
  expect(summary(tally(text, exitCode))).toBe(expected);
});

test('tells which tests passed only at a second try, and why they had failed', () => {
  const of = (fullName: string, status: string, ...failureMessages: readonly string[]) => ({ fullName, status, failureMessages });
  const assertionResults = [
    of('drift is mended', 'passed', 'Error: expected 1 to be 2\n    at drift.ts:1'),
    of('drift is seen', 'passed'),
    of('drift is told', 'failed', 'Error: no', 'Error: again no'),
  ];
  const testResults = [{ name: '/src/drift.e2e.test.ts', status: 'failed', assertionResults }];
  expect(flakes(JSON.stringify({ success: false, testResults }))).toEqual([
    { file: '/src/drift.e2e.test.ts', test: 'drift is mended', cause: 'Error: expected 1 to be 2' },
  ]);
  expect(flakes(undefined)).toEqual([]);
});
