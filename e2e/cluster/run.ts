import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. @throws Error with its error output when it is missing or ends with anything but 0 */
export async function run(command: readonly [string, ...string[]], input?: Readable): Promise<RunResult> {
  const result = await tryRun(command, input);
  if (result.code !== 0) {
    throw new Error(`${command.join(' ')} ended with ${result.code}: ${(result.stderr || result.stdout).trim()}`);
  }
  return result;
}

/** As `run`, but any exit code is an answer; 128 when a signal ended it. */
export function tryRun([file, ...args]: readonly [string, ...string[]], input?: Readable): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (bytes: Buffer) => {
      stdout += bytes.toString();
    });
    child.stderr?.on('data', (bytes: Buffer) => {
      stderr += bytes.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 128, stdout, stderr }));
    if (input !== undefined && child.stdin !== null) {
      // A program that ends early closes its input; its exit code says why.
      pipeline(input, child.stdin).catch(() => undefined);
    }
  });
}
