import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bundle } from '../../mcp/policy/bundle.ts';
import type { Ports } from '../guard.ts';
import { bundle } from './bundle.ts';
import { eventually } from './running.ts';

/** The guard's program; with `drain` as first argument it talks to a running one. */
export const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

export interface ProgramOptions {
  readonly upstream: string;
  readonly bundle?: Bundle;
  /** Further flags. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Flags of Node. */
  readonly node?: readonly string[];
}

/** A guard in a process of its own, as a pod runs it: ports and files by environment, audit on stdout, log on stderr. */
export interface Program {
  readonly child: ChildProcess;
  readonly ports: Ports;
  readonly url: string;
  /** Where its bundle and its control socket are. */
  readonly directory: string;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Kills it if need be, and removes its files. */
  readonly remove: () => void;
}

export async function runProgram(options: ProgramOptions): Promise<Program> {
  const directory = mkdtempSync(join(tmpdir(), 'guard-main-'));
  writeFileSync(join(directory, 'bundle.json'), JSON.stringify(options.bundle ?? bundle()));
  const environment: Record<string, string> = {
    BUNDLE: join(directory, 'bundle.json'),
    CONTROL: join(directory, 'guard.sock'),
    ADDRESS: '127.0.0.1',
    FAREWELL_SECONDS: '0',
  };
  for (const port of ['DATA_PORT', 'ADMIN_PORT', 'METRICS_PORT']) environment[port] = '0';
  const env = {
    ...process.env,
    ...Object.fromEntries(Object.entries(environment).map(([key, value]) => [`MCP_FLEET_GUARD_${key}`, value])),
    ...options.environment,
  };
  const child = spawn(process.execPath, [...(options.node ?? []), MAIN, '--upstream', options.upstream, ...(options.flags ?? [])], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  await eventually(() => stderr.includes('"msg":"started"') || child.exitCode !== null, 'the guard started', 20_000);
  const line = stderr.split('\n').find((text) => text.includes('"msg":"started"'));
  if (line === undefined) throw new Error(`the guard did not start: ${stderr}`);
  const ports = JSON.parse(line) as Ports;
  return {
    child,
    ports,
    url: `http://127.0.0.1:${ports.data}/mcp`,
    directory,
    stdout: () => stdout,
    stderr: () => stderr,
    remove: () => {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
