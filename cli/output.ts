import { stringify } from 'yaml';
import type { Terminal } from './terminal.ts';

export const outputFormats = ['json', 'yaml', 'name'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** One result in every form that `-o` knows. */
export interface Result {
  /** For json and yaml. */
  readonly data: unknown;
  /** For name: one line each, `mcpserver.mcp-fleet.dev/github`. */
  readonly names: readonly string[];
  /** For people. Ends with a line break. */
  readonly text: () => string;
  /** Programs may want the text as it is. */
  readonly verbatim?: boolean;
}

export function print(terminal: Terminal, format: OutputFormat | undefined, result: Result): void {
  if (format === undefined && result.verbatim !== true) terminal.out(result.text());
  else terminal.data(rendered(format, result));
}

function rendered(format: OutputFormat | undefined, { data, names, text }: Result): string {
  if (format === 'json') return `${JSON.stringify(data, undefined, 2)}\n`;
  if (format === 'yaml') return stringify(data, { aliasDuplicateObjects: false });
  if (format === 'name') return names.map((name) => `${name}\n`).join('');
  return text();
}

const steps: readonly (readonly [seconds: number, unit: string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'm'],
  [1, 's'],
];

/** How long ago: `3d`, `5h`, `12m`, `40s`; empty without a time. */
export function age(time: string | undefined, now: Date): string {
  if (time === undefined) return '';
  const seconds = Math.max(0, Math.floor((now.getTime() - Date.parse(time)) / 1_000));
  const step = steps.find(([size]) => seconds >= size * 2) ?? steps.at(-1);
  return step === undefined || Number.isNaN(seconds) ? '' : `${Math.floor(seconds / step[0])}${step[1]}`;
}
