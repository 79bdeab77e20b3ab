import { spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './sources.ts';
import { type Flake, flakes, NOTHING, plus, summary, type Tally, tally } from './tally.ts';

/**
 * Everything that CI runs: `make test`. Arguments name the parts to run (`static`, `unit`, `integration`, `e2e`, `suites`); none means all of them.
 *
 * Tests that passed only at a second try (CI alone tries again) are listed before the last line, which is `N passed, N failed, N skipped`; the exit code is 0 only when nothing failed.
 */
const PARTS = ['static', 'unit', 'integration', 'e2e', 'suites'] as const;
type Part = (typeof PARTS)[number];

interface Check {
  readonly name: string;
  readonly command: readonly string[];
}

const ARTIFACTS = join(ROOT, 'e2e/.artifacts');
const RESULTS = join(ARTIFACTS, 'results');

/** All of the operator's requests are in the audit logs of these. */
const WITH_OPERATOR: readonly Part[] = ['e2e', 'suites'];
const RIGHTS: Check = { name: 'rights of the operator: exactly those that it used', command: [process.execPath, 'e2e/rights.ts'] };

const TRAILS: Check = {
  name: 'audit trails of all guards: one record for each request, chains whole, planted secrets nowhere',
  command: [process.execPath, 'e2e/trails.ts'],
};

/** Static checks count as one test each. */
const CHECKS: readonly Check[] = [
  { name: 'types', command: ['npm', 'run', '--silent', 'check'] },
  { name: 'lint and format', command: ['npm', 'run', '--silent', 'lint'] },
  { name: 'generated files are fresh', command: ['npm', 'run', '--silent', 'generate', '--', '--check'] },
];

const { positionals, values } = parseArgs({ allowPositionals: true, options: { filter: { type: 'string', default: '' } } });
const wanted = PARTS.filter((part) => positionals.length === 0 || positionals.includes(part));
const unknown = positionals.filter((name) => !PARTS.some((part) => part === name));
if (unknown.length > 0) {
  throw new TypeError(`no part ${unknown.join(', ')}; parts are ${PARTS.join(', ')}`);
}

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = true;
  });
}

/** Whether every suite with an operator runs on a cluster of this run, so that a right that none of them uses is one too many. */
const complete =
  values.filter === '' &&
  process.env['E2E_KEEP'] === undefined &&
  WITH_OPERATOR.every((part) => wanted.includes(part)) &&
  podHindrance() === undefined;
if (complete) await rm(ARTIFACTS, { recursive: true, force: true });
await mkdir(RESULTS, { recursive: true });
const started = performance.now();
let total = NOTHING;
const flaky: Flake[] = [];
for (const part of wanted) {
  if (!interrupted) {
    total = plus(total, part === 'static' ? await passed(CHECKS) : await suite(part));
  }
}
if (complete && !interrupted) total = plus(total, await passed([RIGHTS, TRAILS]));
const minutes = ((performance.now() - started) / 60_000).toFixed(1);
say(interrupted ? `interrupted after ${minutes} min` : `${wanted.join(', ')} took ${minutes} min`);
if (flaky.length > 0) {
  say(`FLAKY: ${flaky.length} tests passed only at a second try. Each has a cause: find it`);
  for (const { file, test, cause } of flaky) process.stdout.write(`   ${relative(ROOT, file)}: ${test}\n      ${cause}\n`);
}
process.stdout.write(`${summary(interrupted ? plus(total, { ...NOTHING, failed: 1 }) : total)}\n`);
process.exitCode = total.failed > 0 || interrupted ? 1 : 0;

async function passed(checks: readonly Check[]): Promise<Tally> {
  let result = NOTHING;
  for (const { name, command } of checks) {
    say(name);
    const code = await run(command);
    if (code !== 0) {
      say(`${name}: failed (${command.join(' ')})`);
    }
    result = plus(result, code === 0 ? { ...NOTHING, passed: 1 } : { ...NOTHING, failed: 1 });
  }
  return result;
}

async function suite(part: Exclude<Part, 'static'>): Promise<Tally> {
  const hindrance = part === 'e2e' || part === 'suites' ? podHindrance() : undefined;
  if (hindrance !== undefined) {
    const count = await countTests(part);
    say(`SKIPPED: ${count ?? 'all'} ${part} tests, since ${hindrance}`);
    return count === undefined ? { ...NOTHING, failed: 1 } : { ...NOTHING, skipped: count };
  }
  say(part === 'suites' ? 'end-to-end tests with the deployed operator' : `${part} tests`);
  const report = join(RESULTS, `${part}.json`);
  await rm(report, { force: true });
  const reporters = ['--reporter', process.stdout.isTTY ? 'default' : 'verbose', '--reporter', 'json', '--outputFile.json', report];
  const code = await run([
    'vitest',
    'run',
    '--project',
    projects(part),
    '--passWithNoTests',
    ...reporters,
    ...(values.filter === '' ? [] : [values.filter]),
  ]);
  const text = await readFile(report, 'utf8').catch(() => undefined);
  flaky.push(...flakes(text));
  return tally(text, code);
}

/** Those of vitest.config.ts that make up a part: `e2e-alone` belongs to `e2e`. */
function projects(part: Exclude<Part, 'static'>): string {
  return part === 'e2e' ? 'e2e*' : part;
}

/** A control plane alone runs as any user; pods need network namespaces, mounts and cgroups. */
function podHindrance(): string | undefined {
  if (process.platform !== 'linux') {
    return 'the built-in cluster runs pods on Linux only';
  }
  return process.getuid?.() === 0 ? undefined : 'the built-in cluster needs root to run pods: sudo make test';
}

/** Counts without running: a suite that cannot run still says how much was not tested. `undefined` when the files do not even load. */
async function countTests(part: Exclude<Part, 'static'>): Promise<number | undefined> {
  const list = join(RESULTS, `${part}-skipped.json`);
  await rm(list, { force: true });
  const code = await run(['vitest', 'list', '--project', projects(part), `--json=${list}`]);
  const text = await readFile(list, 'utf8').catch(() => undefined);
  return code === 0 && text !== undefined ? (JSON.parse(text) as unknown[]).length : undefined;
}

/** Exit code; a signal that ended the command counts as 1. */
function run([program = '', ...args]: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: 'inherit' });
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGTERM', forward);
    child.once('error', reject);
    child.once('exit', (code) => {
      process.off('SIGTERM', forward);
      resolve(code ?? 1);
    });
  });
}

function say(line: string): void {
  process.stdout.write(`\n── ${line}\n`);
}
