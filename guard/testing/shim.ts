import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from './running.ts';

const SOURCE = fileURLToPath(new URL('../../stdio-shim', import.meta.url));

export interface RunningShim {
  readonly socket: string;
  /** What the shim and its processes wrote to stderr. */
  readonly log: () => string;
  /** Sends a signal, which the shim passes on to its processes. */
  readonly signal: (signal: NodeJS.Signals) => void;
  readonly stop: () => Promise<void>;
}

/** Builds the real shim and starts it with a command, as its container would. */
export async function runShim(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<RunningShim> {
  const directory = mkdtempSync(join(tmpdir(), 'shim-'));
  const program = join(directory, 'stdio-shim');
  execFileSync('go', ['build', '-o', program, '.'], { cwd: SOURCE, env: { ...process.env, CGO_ENABLED: '0' } });
  const socket = join(directory, 'stdio.sock');
  let log = '';
  const child = spawn(program, ['--', ...command], {
    env: { ...process.env, STDIO_SHIM_SOCKET: socket, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  await eventually(() => existsSync(socket), 'the shim listens');
  return {
    socket,
    log: () => log,
    signal: (signal) => void child.kill(signal),
    stop: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
