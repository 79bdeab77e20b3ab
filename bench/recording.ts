import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

/** One measured figure. `name` stays the same for ever: results are compared by it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The bar of design/performance.md, in words. */
  readonly bar?: string;
  /** Whether the bar was reached. */
  readonly reached?: boolean;
  /** How it was measured, where the name does not say it. */
  readonly method?: string;
}

export interface Results {
  readonly date: string;
  readonly suite: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryGiB: number; readonly kernel: string };
  readonly versions: Readonly<Record<string, string>>;
  readonly commit: string;
  readonly figures: readonly Figure[];
}

const FOLDER = join(import.meta.dirname, 'results');

/** Collects figures, prints each at once, and keeps them with the machine and the versions they belong to. */
export class Recording {
  readonly #suite: string;
  readonly #versions: Readonly<Record<string, string>>;
  readonly #figures: Figure[] = [];

  constructor(suite: string, versions: Readonly<Record<string, string>>) {
    this.#suite = suite;
    this.#versions = { node: process.version, ...versions };
  }

  add(figure: Figure): void {
    this.#figures.push(figure);
    const verdict = figure.reached === undefined ? '' : figure.reached ? '  reached' : '  MISSED';
    const bar = figure.bar === undefined ? '' : `  (bar: ${figure.bar})`;
    console.log(`  ${figure.name.padEnd(58)} ${String(figure.value).padStart(9)} ${figure.unit}${bar}${verdict}`);
  }

  /** Writes `bench/results/<date>-<suite>.json` and prints what changed since the last result of this suite. */
  async save(now: Date): Promise<void> {
    await mkdir(FOLDER, { recursive: true });
    const last = await lastResults(this.#suite);
    const processor = cpus();
    const results: Results = {
      date: now.toISOString(),
      suite: this.#suite,
      machine: {
        cpu: processor[0]?.model ?? 'unknown',
        cores: processor.length,
        memoryGiB: Math.round(totalmem() / 2 ** 30),
        kernel: release(),
      },
      versions: this.#versions,
      commit: commit(),
      figures: this.#figures,
    };
    const path = join(FOLDER, `${results.date.slice(0, 16).replace(':', '')}-${this.#suite}.json`);
    await writeFile(path, `${JSON.stringify(results, undefined, 2)}\n`);
    console.log(`\nWritten to ${path.slice(path.indexOf('bench/'))}`);
    if (last !== undefined) printChange(last, results);
  }
}

async function lastResults(suite: string): Promise<Results | undefined> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith(`-${suite}.json`)).toSorted();
  const newest = names.at(-1);
  return newest === undefined ? undefined : (JSON.parse(await readFile(join(FOLDER, newest), 'utf8')) as Results);
}

function printChange(last: Results, results: Results): void {
  const before = new Map(last.figures.map((figure) => [figure.name, figure.value]));
  console.log(`Change since ${last.date} (${last.commit}):`);
  for (const { name, value, unit } of results.figures) {
    const old = before.get(name);
    if (old === undefined || old === value) continue;
    const percent = old === 0 ? '' : ` (${value > old ? '+' : ''}${(((value - old) / old) * 100).toFixed(0)} %)`;
    console.log(`  ${name}: ${old} → ${value} ${unit}${percent}`);
  }
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
