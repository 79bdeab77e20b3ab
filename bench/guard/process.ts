import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, policy } from '../../guard/testing/bundle.ts';
import { eventually } from '../../guard/testing/running.ts';
import { IMAGE_ENVIRONMENT } from '../image.ts';

const DIRECTORY = mkdtempSync(join(tmpdir(), 'bench-guard-'));

/** What is measured has a core of its own; servers and load share the other one. Without two cores nothing is pinned. */
const PINNED = availableParallelism() >= 2;
export const SUBJECT_CORE = 0;
export const OTHER_CORE = 1;

/** Anything that answers MCP on a URL, in a process of its own. */
export interface Subject {
  readonly name: string;
  readonly url: string;
  readonly process: ChildProcess;
}

function node(
  core: number,
  args: readonly string[],
  stdio: ('ignore' | 'pipe' | 'inherit' | 'ipc')[],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const command = [...(PINNED ? ['taskset', '--cpu-list', String(core)] : []), process.execPath, ...args];
  return spawn(command[0] ?? '', command.slice(1), { stdio, env: { ...process.env, ...env } });
}

export const SUBJECT = join(import.meta.dirname, 'subject.ts');

/** A server or the bare proxy. */
export async function start(name: string, core: number, ...args: readonly string[]): Promise<Subject> {
  const child = node(core, [SUBJECT, ...args], ['ignore', 'ignore', 'inherit', 'ipc']);
  const [url] = (await once(child, 'message')) as [string];
  return { name, url, process: child };
}

/** The programs as the image has them. */
export function bundled(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, '../../scripts/bundle.ts'), `--outdir=${DIRECTORY}`], { stdio: 'ignore' });
}

export type Policies = 'none' | 'audit off' | 'audit on';

/** The guard's program out of its bundle, with a policy that has a ceiling and one rule. Its audit log goes nowhere, by the same writes as ever. */
export async function startGuard(name: string, upstream: readonly string[], policies: Policies): Promise<Subject> {
  const file = join(mkdtempSync(join(DIRECTORY, 'policy-')), 'bundle.json');
  const access = { maximumClass: 'ReadOnly', trustAnnotations: 'Always', overrides: [] } as const;
  const audit = { level: policies === 'audit on' ? 'Metadata' : 'None', redact: [], onFailure: 'Drop' } as const;
  const rules = [{ name: 'never', effect: 'Deny', tools: ['echo'], arguments: [{ path: '/forbidden', operator: 'Exists' }] } as const];
  writeFileSync(file, JSON.stringify(bundle(policies === 'none' ? {} : { policies: [policy({ access, audit, rules })] })));
  const flags = ['--bundle', file, '--address', '127.0.0.1', '--control', '', '--farewell-seconds', '0', ...upstream];
  for (const port of ['data', 'admin', 'metrics']) flags.push(`--${port}-port`, '0');
  const child = node(SUBJECT_CORE, [join(DIRECTORY, 'guard.mjs'), ...flags], ['ignore', 'ignore', 'pipe'], IMAGE_ENVIRONMENT);
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
  await eventually(() => log.includes('"msg":"started"'), `the guard started: ${log}`, 30_000);
  const line = log.split('\n').find((text) => text.includes('"msg":"started"')) ?? '{}';
  const { data, admin } = JSON.parse(line) as { data: number; admin: number };
  await eventually(async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).ok, 'the server was listed', 30_000);
  return { name, url: `http://127.0.0.1:${data}/mcp`, process: child };
}

/** Processor time that a process has used so far, microseconds. */
export function processorTime({ process: { pid } }: Subject): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Memory of a process in KiB: all that is resident, and what is its own and not a file. */
export function memory({ process: { pid } }: Subject): { readonly resident: number; readonly anonymous: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN);
  return { resident: field('VmRSS'), anonymous: field('RssAnon') };
}
