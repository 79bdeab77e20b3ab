import type { Environment } from '../context.ts';
import { writing } from '../terminal.ts';

/** A command's surroundings without a process: what it prints is kept, the clock stands still, nothing is coloured. */
export function capture({ now = '2026-11-20T12:00:00Z', stdin = '' }: { readonly now?: string; readonly stdin?: string }): {
  readonly environment: Environment;
  readonly out: () => string;
  readonly err: () => string;
} {
  const out: string[] = [];
  const err: string[] = [];
  async function* input() {
    if (stdin !== '') yield Buffer.from(stdin);
  }
  return {
    environment: {
      terminal: {
        ...writing({
          stdout: { write: (text) => out.push(text) },
          stderr: { write: (text) => err.push(text) },
          isTerminal: false,
          paint: (_, text) => text,
        }),
        spinner: () => ({ update: () => undefined, stop: () => undefined }),
      },
      now: () => new Date(now),
      signal: new AbortController().signal,
      stdin: input(),
    },
    out: () => out.join(''),
    err: () => err.join(''),
  };
}
