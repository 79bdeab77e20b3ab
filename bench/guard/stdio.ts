import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { runShim } from '../../guard/testing/shim.ts';
import { summarize } from '../statistics.ts';
import { inSession, LEGACY, load } from './load.ts';
import { startGuard, SUBJECT } from './process.ts';

export interface StdioFigures {
  /** Microseconds: one call over the server's own pipes, and through guard and shim. */
  readonly direct: number;
  readonly guarded: number;
  /** Calls per second of a hundred callers who share one process. */
  readonly hundred: number;
}

/** A server over stdio: its pipes used directly, and by guard and shim. */
export async function stdioFigures(calls: number): Promise<StdioFigures> {
  const direct = await directly(calls);
  const shim = await runShim([process.execPath, SUBJECT, 'stdio']);
  const guard = await startGuard('stdio', ['--upstream', `unix:${shim.socket}`, '--transport', 'Stdio'], 'audit on');
  try {
    const mode = await inSession(guard, LEGACY);
    await load(guard, mode, 8, calls);
    const { p50 } = await load(guard, mode, 1, calls);
    const { perSecond } = await load(guard, mode, 100, calls);
    return { direct, guarded: p50, hundred: perSecond };
  } finally {
    guard.process.kill('SIGKILL');
    await shim.stop();
  }
}

async function directly(calls: number): Promise<number> {
  const child = spawn(process.execPath, [SUBJECT, 'stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const latencies: number[] = [];
  for (let number = 1; number <= calls * 2; number += 1) {
    const sent = performance.now();
    child.stdin.write(`${LEGACY.body(number)}\n`);
    await lines.next();
    // The first half warms up.
    if (number > calls) latencies.push((performance.now() - sent) * 1000);
  }
  child.kill('SIGKILL');
  return summarize(latencies).p50;
}
