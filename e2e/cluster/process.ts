import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { execFileSync } from 'node:child_process';

/** A process that can be recognised later, also after its id was given to another one. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the words of the system (clock ticks since boot, plus the boot's id, on Linux). */
  readonly started: string;
}

/** Identity of a running process; undefined when there is none with this id, or only what a parent has not collected yet. */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = process.platform === 'linux' ? startedOnLinux(pid) : startedElsewhere(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** Sends a signal to exactly this process; false when it is gone. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): boolean {
  if (!isAlive(identity)) {
    return false;
  }
  try {
    return process.kill(identity.pid, name);
  } catch {
    return false;
  }
}

/** Waits until the process is gone; false when it is still there after `timeoutMs`. */
export async function gone(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (isAlive(identity)) {
    if (performance.now() > end) {
      return false;
    }
    await delay(10);
  }
  return true;
}

/** The only child of a process, once there is one. */
export async function onlyChild(parent: ProcessIdentity): Promise<ProcessIdentity> {
  for (;;) {
    const pid = Number(readProc(`/proc/${parent.pid}/task/${parent.pid}/children`)?.trim().split(' ')[0]);
    const child = pid > 0 ? identify(pid) : undefined;
    if (child !== undefined) {
      return child;
    }
    if (!isAlive(parent)) {
      throw new Error(`process ${parent.pid} ended before it had a child`);
    }
    await delay(2);
  }
}

function startedOnLinux(pid: number): string | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  // The second field is the command in parentheses and may contain spaces and parentheses (proc_pid_stat(5)).
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, threads, ticks] = [fields?.[0], fields?.[17], fields?.[19]];
  // The first thread ends before the others, which keep sockets open until they end too.
  const ended = (state === 'Z' || state === 'X') && Number(threads) <= 1;
  if (ticks === undefined || ended) {
    return undefined;
  }
  return `${ticks}@${readProc('/proc/sys/kernel/random/boot_id')?.trim() ?? ''}`;
}

function startedElsewhere(pid: number): string | undefined {
  try {
    return (
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim() ||
      undefined
    );
  } catch {
    return undefined;
  }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
