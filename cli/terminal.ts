import { randomInt } from 'node:crypto';
import { styleText } from 'node:util';
import type yoctoSpinner from 'yocto-spinner';

export type Style = Parameters<typeof styleText>[0];

/**
 * Where a command writes. Results go to stdout, everything else to stderr. Nothing that is written can control a terminal, whoever wrote it, but what `style`
 * returned.
 */
export interface Terminal {
  /** For people. */
  out(text: string): void;
  /** For programs: as it is, unless people read it after all because stdout is a terminal. */
  data(text: string): void;
  err(text: string): void;
  /** `text` in colour where stdout shows colours (a terminal; not with NO_COLOR). */
  style(style: Style, text: string): string;
  /** Shows what is being waited for, on a terminal only. */
  spinner(text: string): Spinner;
}

export interface Spinner {
  update(text: string): void;
  stop(): void;
}

export function processTerminal(): Terminal {
  const { stdout, stderr } = process;
  return {
    ...writing({ stdout, stderr, isTerminal: stdout.isTTY, paint: (style, text) => styleText(style, text, { stream: stdout }) }),
    spinner: (text) => (stderr.isTTY ? liveSpinner(text) : { update: () => undefined, stop: () => undefined }),
  };
}

interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly isTerminal: boolean;
  readonly paint: (style: Style, text: string) => string;
}

/** Exported for tests. */
export function writing({ stdout, stderr, isTerminal, paint }: Streams): Omit<Terminal, 'spinner'> {
  // Colours of ours carry a number that strangers cannot know; at the edge it goes, with every other control character. Four digits: tables know their width.
  const number = `${randomInt(1_000, 10_000)};${randomInt(1_000, 10_000)}`;
  const colour = new RegExp(`\u001b\\[${number};(\\d+)m`);
  const edge = (text: string, clean: (text: string) => string): string =>
    text
      .split(colour)
      .map((part, index) => (index % 2 === 0 ? clean(part) : `\u001b[${part}m`))
      .join('');
  return {
    out: (text) => void stdout.write(edge(text, harmless)),
    data: (text) => void stdout.write(edge(text, isTerminal ? harmless : (same) => same)),
    err: (text) => void stderr.write(edge(text, harmless)),
    style: (style, text) => paint(style, harmless(text)).replaceAll('\u001b[', `\u001b[${number};`),
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

/** Text of a stranger in one line. */
export const oneLine = (text: string): string => text.replaceAll(/[\r\n]+/g, ' ');

/** Text of a stranger for a terminal: line breaks and tabs stay, other control and format characters become `�`. */
function harmless(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(/[^\P{C}\n\t]/gu, '\uFFFD');
}
