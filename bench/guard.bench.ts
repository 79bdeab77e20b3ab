import { execFileSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Load, Mode } from './guard/load.ts';
import { EVENTS, LEGACY, load, MODERN, NEW_LISTS, SAME_LIST } from './guard/load.ts';
import type { Subject } from './guard/process.ts';
import { bundled, memory, OTHER_CORE, start, startGuard, SUBJECT_CORE } from './guard/process.ts';
import { stdioFigures } from './guard/stdio.ts';
import { memoryPerStream } from './guard/streams.ts';
import { Recording } from './recording.ts';
import { round } from './statistics.ts';

/**
 * The guard beside a direct connection and a bare pass-through proxy in the same runtime, all in one run. Closed model with distinct arguments; warmed up; medians of
 * several rounds with their extremes, interleaved, so that a change of the machine's mood hits all alike. The subject has one core, servers and load the other.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    calls: { type: 'string', default: '3000' },
    save: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const ROUNDS = Number(values.rounds);
const CALLS = Number(values.calls);

const recording = new Recording('guard', {});
// Above the number of cores, times are upper bounds and only ratios mean something.
recording.add({ name: 'load average of the machine when it began', value: round(loadavg()[0] ?? 0), unit: '' });
execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(OTHER_CORE), String(process.pid)], { stdio: 'ignore' });
bundled();

const server = await start('direct', OTHER_CORE, 'server');
const proxy = await start('bare proxy', SUBJECT_CORE, 'proxy', server.url);
const open = await startGuard('guard without policy', ['--upstream', server.url], 'none');
const silent = await startGuard('guard, audit off', ['--upstream', server.url], 'audit off');
const guard = await startGuard('guard', ['--upstream', server.url], 'audit on');
// What the start left behind is collected by and by.
await delay(5_000);
const idle = memory(guard);

/** One figure of every round, and what they come to. */
class Rounds {
  readonly #values: number[] = [];
  add(value: number): void {
    this.#values.push(value);
  }
  get median(): number {
    return this.#values.toSorted((a, b) => a - b)[Math.floor(this.#values.length / 2)] ?? Number.NaN;
  }
  method(digits: number): string {
    return `median of ${this.#values.length}, ${round(Math.min(...this.#values), digits)} to ${round(Math.max(...this.#values), digits)}`;
  }
}

interface Bar {
  readonly bar?: string;
  readonly reached?: (value: number) => boolean;
}

function note(name: string, rounds: Rounds, unit: string, digits: number, { bar, reached }: Bar = {}): void {
  const value = round(rounds.median, digits);
  const verdict = bar === undefined || reached === undefined ? {} : { bar, reached: reached(value) };
  recording.add({ name, value, unit, method: rounds.method(digits), ...verdict });
}

/** Loads all subjects in turn, round by round; gives what each came to. */
async function inRounds(subjects: readonly Subject[], mode: Mode, callers: number, calls: number): Promise<readonly (readonly Load[])[]> {
  for (const subject of subjects) await load(subject, mode, callers, calls);
  const rounds: (readonly Load[])[] = [];
  for (let turn = 0; turn < ROUNDS; turn += 1) {
    const loads: Load[] = [];
    for (const subject of subjects) loads.push(await load(subject, mode, callers, calls));
    rounds.push(loads);
  }
  return rounds;
}

const of = (rounds: readonly (readonly Load[])[], value: (loads: readonly Load[]) => number): Rounds => {
  const result = new Rounds();
  for (const loads of rounds) result.add(value(loads));
  return result;
};

const everybody = [server, proxy, open, silent, guard];
// Guards run for weeks: what the compiler has not seen yet is no figure of theirs.
for (const subject of everybody) await load(subject, LEGACY, 32, 10_000);
for (const mode of [LEGACY, EVENTS, MODERN]) {
  const bars = mode === LEGACY;
  const one = await inRounds(everybody, mode, 1, CALLS / 2);
  const many = await inRounds(everybody, mode, 32, CALLS);
  for (const [index, { name }] of everybody.entries()) {
    note(
      `${mode.name}: ${name}, p50, 1 caller`,
      of(one, (loads) => loads[index]?.p50 ?? 0),
      'µs',
      0,
    );
    note(
      `${mode.name}: ${name}, p99, 1 caller`,
      of(one, (loads) => loads[index]?.p99 ?? 0),
      'µs',
      0,
    );
    note(
      `${mode.name}: ${name}, 32 callers`,
      of(many, (loads) => loads[index]?.perSecond ?? 0),
      '/s',
      0,
    );
    note(
      `${mode.name}: ${name}, processor time per call`,
      of(many, (loads) => loads[index]?.processor ?? 0),
      'µs',
      0,
    );
  }
  const added = (share: 'p50' | 'p99'): Rounds => of(one, (loads) => ((loads[4]?.[share] ?? 0) - (loads[0]?.[share] ?? 0)) / 1000);
  const bar = (text: string, reached: (value: number) => boolean): Bar => (bars ? { bar: text, reached } : {});
  note(
    `${mode.name}: added p50`,
    added('p50'),
    'ms',
    3,
    bar('≤ 0.25 ms', (value) => value <= 0.25),
  );
  note(
    `${mode.name}: added p99`,
    added('p99'),
    'ms',
    3,
    bar('≤ 1 ms', (value) => value <= 1),
  );
  const share = of(many, (loads) => ((loads[4]?.perSecond ?? 0) / (loads[1]?.perSecond ?? 1)) * 100);
  note(
    `${mode.name}: throughput beside the bare proxy`,
    share,
    '%',
    0,
    bar('≥ 70 %', (value) => value >= 70),
  );
  if (bars)
    note(
      'throughput of one core',
      of(many, (loads) => loads[4]?.perSecond ?? 0),
      '/s',
      0,
      bar('≥ 5,000/s', (value) => value >= 5_000),
    );
}

recording.add({ name: 'memory idle, resident with the files of Node', value: round(idle.resident / 1024), unit: 'MiB' });
const small = idle.anonymous / 1024;
recording.add({
  name: 'memory idle',
  value: round(small),
  unit: 'MiB',
  bar: '≤ 32 MiB',
  reached: small <= 32,
  method: 'RssAnon of the bundled program: it has no cgroup of its own here, and pages of the Node binary are shared and evictable',
});
recording.add({ name: 'memory after the load', value: round(memory(guard).anonymous / 1024), unit: 'MiB', method: 'RssAnon' });
for (const { process: child } of [proxy, open, silent, guard]) child.kill('SIGKILL');

const fresh = await startGuard('guard', ['--upstream', server.url], 'audit on');
const stream = await memoryPerStream(fresh, 1_000);
recording.add({
  name: 'memory per open stream',
  value: round(stream),
  unit: 'KiB',
  bar: '≤ 20 KiB',
  reached: stream <= 20,
  method: 'growth of RssAnon by 1,000 streams',
});
fresh.process.kill('SIGKILL');
server.process.kill();

const lists = await start('direct', OTHER_CORE, 'lists');
const filtering = await startGuard('guard', ['--upstream', lists.url], 'audit on');
for (const mode of [NEW_LISTS, SAME_LIST]) {
  const rounds = await inRounds([lists, filtering], mode, 1, 40);
  const added = of(rounds, (loads) => ((loads[1]?.p50 ?? 0) - (loads[0]?.p50 ?? 0)) / 1000);
  note(
    `500 tools, 500 KiB, ${mode.name}: added p50`,
    added,
    'ms',
    2,
    mode === NEW_LISTS ? { bar: '≤ 10 ms', reached: (value) => value <= 10 } : {},
  );
}
for (const { process: child } of [lists, filtering]) child.kill('SIGKILL');

const { direct, guarded, hundred } = await stdioFigures(CALLS / 2);
const added = (guarded - direct) / 1000;
recording.add({ name: 'stdio: its own pipes, p50', value: round(direct, 0), unit: 'µs' });
recording.add({ name: 'stdio: shared process, added p50', value: round(added, 3), unit: 'ms', bar: '≤ 0.3 ms', reached: added <= 0.3 });
recording.add({ name: 'stdio: shared process, 100 callers', value: round(hundred, 0), unit: '/s' });

if (values.save) await recording.save(new Date());
