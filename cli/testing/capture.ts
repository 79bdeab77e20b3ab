import type { Environment } from '../context.ts';

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
        out: (text) => void out.push(text),
        err: (text) => void err.push(text),
        style: (_, text) => text,
        interactive: false,
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
