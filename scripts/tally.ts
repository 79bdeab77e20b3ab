/** Numbers of tests. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 };

/** The part of vitest's JSON report that counts. */
interface Report {
  readonly success: boolean;
  readonly testResults: readonly FileResult[];
}

interface FileResult {
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly TestResult[];
}

interface TestResult {
  readonly fullName: string;
  readonly status: string;
  /** Of all attempts. */
  readonly failureMessages: readonly string[];
}

export function plus(a: Tally, b: Tally): Tally {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** `N passed, N failed, N skipped`: what CI reads. */
export function summary({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/**
 * Counts vitest's JSON report.
 *
 * Whatever made vitest fail counts at least once: no report, a file that could not be loaded, a failed hook, an unhandled rejection.
 */
export function tally(report: string | undefined, exitCode: number): Tally {
  const files = report === undefined ? [] : (JSON.parse(report) as Report).testResults;
  const counted = files.map(tallyFile).reduce(plus, NOTHING);
  return exitCode !== 0 && counted.failed === 0 ? { ...counted, failed: 1 } : counted;
}

/** A test that passed only when it was run again: nobody's failure, and somebody's work. */
export interface Flake {
  readonly file: string;
  readonly test: string;
  /** First line of what went wrong at first. */
  readonly cause: string;
}

/** The tests of vitest's JSON report that passed only at a later try. */
export const flakes = (report: string | undefined): readonly Flake[] =>
  (report === undefined ? [] : (JSON.parse(report) as Report).testResults).flatMap(({ name, assertionResults }) =>
    assertionResults.flatMap(({ status, fullName, failureMessages: [first] }) =>
      status === 'passed' && first !== undefined ? [{ file: name, test: fullName, cause: first.split('\n', 1)[0] ?? '' }] : [],
    ),
  );

function tallyFile({ status, assertionResults }: FileResult): Tally {
  const count = (...statuses: readonly string[]): number => assertionResults.filter((each) => statuses.includes(each.status)).length;
  const failed = count('failed');
  return {
    passed: count('passed'),
    failed: status === 'failed' && failed === 0 ? 1 : failed,
    skipped: count('skipped', 'pending', 'todo', 'disabled'),
  };
}
