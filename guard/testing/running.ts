import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bundle, IssuerKeys } from '../../mcp/policy/bundle.ts';
import { GATHERING } from '../audit/sink.ts';
import type { Ports } from '../guard.ts';
import { Guard } from '../guard.ts';
import { processLog } from '../log.ts';
import { settings } from '../settings.ts';
import { bundle } from './bundle.ts';

export interface RunningOptions {
  readonly upstream: string;
  readonly bundle?: Bundle;
  readonly keys?: IssuerKeys;
  /** Further flags, for example `['--drain-seconds', '1']`. */
  readonly flags?: readonly string[];
  /** Keys by user, mounted as a Secret would be. */
  readonly apiKeys?: Readonly<Record<string, string>>;
  /** Called before every write of the audit log; what it throws is the error of the write. */
  readonly beforeAudit?: () => void;
  /** Bytes shared by the guards of one server. */
  readonly sealingKey?: Buffer;
}

/** A guard in this process, with its bundle in a directory of its own. */
export interface RunningGuard {
  readonly guard: Guard;
  readonly ports: Ports;
  /** Where callers go. */
  readonly url: string;
  /** The audit records so far, with what has gathered. */
  readonly audit: () => Promise<readonly Record<string, unknown>[]>;
  /** The audit log as it was written. */
  readonly auditText: () => string;
  /** Everything that was logged besides. */
  readonly logText: () => string;
  /** Puts another bundle in the file, as the kubelet does: whole, by a rename. */
  readonly write: (bundle: Bundle | string) => void;
  readonly directory: string;
  readonly stop: () => Promise<void>;
}

/** Starts a guard on free ports of the loopback interface. */
export async function runGuard(options: RunningOptions): Promise<RunningGuard> {
  const directory = mkdtempSync(join(tmpdir(), 'guard-'));
  const file = join(directory, 'bundle.json');
  const write = (content: Bundle | string): void => {
    writeFileSync(`${file}.new`, typeof content === 'string' ? content : JSON.stringify(content));
    renameSync(`${file}.new`, file);
  };
  write(options.bundle ?? bundle());
  if (options.keys !== undefined) writeFileSync(join(directory, 'keys.json'), JSON.stringify(options.keys));
  const flags = ['--upstream', options.upstream, '--bundle', file, '--address', '127.0.0.1', '--control', '', '--farewell-seconds', '0'];
  for (const port of ['data', 'admin', 'metrics']) flags.push(`--${port}-port`, '0');
  if (options.apiKeys !== undefined) flags.push('--api-keys', secret(directory, 'api-keys', options.apiKeys));
  if (options.sealingKey !== undefined) flags.push('--sealing-keys', secret(directory, 'sealing', { current: options.sealingKey }));
  let audit = '';
  let log = '';
  const guard = new Guard(settings([...flags, ...(options.flags ?? [])], {}), {
    log: processLog('debug', Date.now, (line) => {
      log += line;
    }),
    audit: (bytes, done) => {
      try {
        options.beforeAudit?.();
      } catch (error) {
        done(error as Error);
        return;
      }
      audit += bytes.toString('utf8');
      done(null);
    },
    now: Date.now,
    random: Math.random,
  });
  const ports = await guard.start();
  return {
    guard,
    ports,
    url: `http://127.0.0.1:${ports.data}/mcp`,
    audit: async () => {
      // A timer of this process, as the guard's is: that one is the sooner.
      await delay(2 * GATHERING);
      return lines(audit);
    },
    auditText: () => audit,
    logText: () => log,
    write,
    directory,
    stop: async () => {
      await guard.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function lines(text: string): readonly Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly audit: Record<string, unknown> }).audit);
}

function secret(directory: string, name: string, content: Readonly<Record<string, string | Buffer>>): string {
  const path = mkdtempSync(join(directory, name));
  for (const [key, value] of Object.entries(content)) writeFileSync(join(path, key), value);
  return path;
}

/** Waits until a condition holds; fails when it has not after `patience` milliseconds. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string, patience = 5_000): Promise<void> {
  const deadline = Date.now() + patience;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}
