import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { Recording } from './recording.ts';
import { round, summarize } from './statistics.ts';

/**
 * The guard beside a direct connection and a bare pass-through proxy in the same runtime, all in one run: the server, the proxies and the
 * load each in a process of its own. Closed model with distinct arguments; warmed up; the median of several rounds, interleaved, so that a
 * change of the machine's mood hits all alike.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    calls: { type: 'string', default: '4000' },
    save: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const ROUNDS = Number(values.rounds);
const CALLS = Number(values.calls);
const PADDING = 'x'.repeat(900);

interface Subject {
  readonly name: string;
  readonly url: string;
  readonly process: ChildProcess;
}

async function start(name: string, ...args: readonly string[]): Promise<Subject> {
  const child = fork(new URL('guard/subject.ts', import.meta.url), [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [url] = (await once(child, 'message')) as [string];
  return { name, url, process: child };
}

let sequence = 0;
function body(): string {
  sequence += 1;
  const params = { name: 'echo', arguments: { n: sequence, text: PADDING } };
  return JSON.stringify({ jsonrpc: '2.0', id: sequence, method: 'tools/call', params });
}

/** Latencies of `calls` calls at a concurrency, microseconds each, and the calls per second altogether. */
async function load(subject: Subject, concurrency: number, calls: number): Promise<{ latencies: number[]; perSecond: number }> {
  const { origin, pathname } = new URL(subject.url);
  const pool = new Pool(origin, { connections: concurrency });
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const latencies: number[] = [];
  let left = calls;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (left > 0) {
        left -= 1;
        const at = performance.now();
        const response = await pool.request({ method: 'POST', path: pathname, headers, body: body() });
        const text = await response.body.text();
        latencies.push((performance.now() - at) * 1000);
        if (response.statusCode !== 200 || text.includes('"error"')) throw new Error(`${subject.name}: ${response.statusCode} ${text}`);
      }
    }),
  );
  const perSecond = (calls * 1000) / (performance.now() - began);
  await pool.close();
  return { latencies, perSecond };
}

/** Resident memory in MiB, of which anonymous. */
function memory({ process: child }: Subject): { rss: number; anonymous: number } {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) / 1024;
  return { rss: field('VmRSS'), anonymous: field('RssAnon') };
}

const median = (samples: readonly number[]): number => samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;

const server = await start('direct', 'server');
const proxy = await start('bare proxy', 'proxy', server.url);
const guard = await start('guard', 'guard', server.url, 'policy');
const silent = await start('guard, audit off', 'guard', server.url, 'policy-without-audit');
const open = await start('guard, no policy', 'guard', server.url, 'none');
const subjects = [server, proxy, open, silent, guard];
const idle = memory(guard);

for (const subject of subjects) await load(subject, 8, CALLS);

const p50 = new Map<string, number[]>();
const p99 = new Map<string, number[]>();
const rates = new Map<string, number[]>();
const note = (map: Map<string, number[]>, name: string, value: number): void => {
  map.set(name, [...(map.get(name) ?? []), value]);
};
for (let run = 0; run < ROUNDS; run += 1) {
  for (const subject of subjects) {
    const summary = summarize((await load(subject, 1, CALLS / 2)).latencies);
    note(p50, subject.name, summary.p50);
    note(p99, subject.name, summary.p99);
    note(rates, subject.name, (await load(subject, 32, CALLS)).perSecond);
  }
}

const recording = new Recording('guard', {});
const of = (map: Map<string, number[]>, { name }: Subject): number => median(map.get(name) ?? []);
for (const subject of subjects) {
  recording.add({ name: `${subject.name}: p50, concurrency 1`, value: round(of(p50, subject)), unit: 'µs' });
  recording.add({ name: `${subject.name}: p99, concurrency 1`, value: round(of(p99, subject)), unit: 'µs' });
  recording.add({ name: `${subject.name}: throughput, concurrency 32`, value: round(of(rates, subject), 0), unit: '/s' });
}
const added50 = (of(p50, guard) - of(p50, server)) / 1000;
const added99 = (of(p99, guard) - of(p99, server)) / 1000;
const ratio = (of(rates, guard) / of(rates, proxy)) * 100;
recording.add({ name: 'added latency p50', value: round(added50, 3), unit: 'ms', bar: '≤ 0.25 ms', reached: added50 <= 0.25 });
recording.add({ name: 'added latency p99', value: round(added99, 3), unit: 'ms', bar: '≤ 1 ms', reached: added99 <= 1 });
recording.add({ name: 'throughput beside the bare proxy', value: round(ratio), unit: '%', bar: '≥ 70 %', reached: ratio >= 70 });
const rate = of(rates, guard);
recording.add({ name: 'throughput, policy and audit on', value: round(rate, 0), unit: '/s', bar: '≥ 5,000/s', reached: rate >= 5_000 });
recording.add({ name: 'memory idle, resident', value: round(idle.rss), unit: 'MiB' });
recording.add({
  name: 'memory idle, anonymous',
  value: round(idle.anonymous),
  unit: 'MiB',
  bar: '≤ 32 MiB',
  reached: idle.anonymous <= 32,
});
recording.add({ name: 'memory after the run, anonymous', value: round(memory(guard).anonymous), unit: 'MiB' });
if (values.save) await recording.save(new Date());
for (const subject of subjects) subject.process.kill();
