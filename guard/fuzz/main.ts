import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';
import type { FuzzReport } from './fuzz.ts';

/** `make fuzz`: hostile callers and a hostile server around a guard, for as long as one likes. Ends at the first violation, with 1. */
const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) } },
});
const seed = Number(values.seed);
const until = Date.now() + Number(values.minutes) * 60_000;

function show({ inputs, forwarded, peakMemory, memory }: FuzzReport): void {
  process.stdout.write(`${inputs} inputs, ${forwarded} reached the server, memory ${memory} MiB (at most ${peakMemory})\n`);
}

process.stdout.write(`seed ${seed}, ${values.minutes} min\n`);
let round = 0;
let total = 0;
// A guard anew every hundred thousand inputs: another seed, and audit logs that are held in memory stay small.
while (Date.now() < until) {
  const report = await fuzz({ seed: seed + round, more: (inputs) => inputs < 100_000 && Date.now() < until, progress: show });
  round += 1;
  total += report.inputs;
  show(report);
  if (report.violations.length > 0) {
    process.stdout.write(`${report.violations.join('\n')}\n`);
    process.exitCode = 1;
    break;
  }
}
process.stdout.write(`${total} inputs in all\n`);
