import { styleText } from 'node:util';
import type yoctoSpinner from 'yocto-spinner';

export type Style = Parameters<typeof styleText>[0];

/** Where a command writes. Results go to stdout, everything else to stderr. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** `text` in colour where stdout shows colours (a terminal; not with NO_COLOR). */
  style(style: Style, text: string): string;
  /** Whether stdout is a terminal: then nothing that a stranger wrote may control it. */
  readonly interactive: boolean;
  /** Shows what is being waited for, on a terminal only. */
  spinner(text: string): Spinner;
}

export interface Spinner {
  update(text: string): void;
  stop(): void;
}

export function processTerminal(): Terminal {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    style: (style, text) => styleText(style, text, { stream: process.stdout }),
    interactive: process.stdout.isTTY,
    spinner: (text) => (process.stderr.isTTY ? liveSpinner(text) : { update: () => undefined, stop: () => undefined }),
  };
}

/** The library is loaded only where a spinner turns. */
function liveSpinner(text: string): Spinner {
  let latest = text;
  let stopped = false;
  let live: ReturnType<typeof yoctoSpinner> | undefined;
  const loading = import('yocto-spinner').then(({ default: spinner }) => {
    if (!stopped) live = spinner({ text: latest, stream: process.stderr }).start();
  });
  // Without a spinner the command works as well.
  loading.catch(() => undefined);
  return {
    update(next) {
      latest = next;
      if (live !== undefined) live.text = next;
    },
    stop() {
      stopped = true;
      live?.stop();
    },
  };
}

/** Text of a stranger for a terminal: line breaks and tabs stay, other control and format characters become `�`. */
export function harmless(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(/[^\P{C}\n\t]/gu, '\uFFFD');
}
