import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { change } from './operator/change.ts';
import { failOver } from './operator/failover.ts';
import { fleet } from './operator/fleet.ts';
import { BUNDLES } from './operator/process.ts';
import { Recording } from './recording.ts';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '100,1000,5000' },
    rest: { type: 'string', default: '300' },
    only: { type: 'string', default: 'fleet,change,failover' },
    save: { type: 'boolean', default: true },
  },
  allowNegative: true,
});

const wanted = new Set(values.only.split(','));
execFileSync(process.execPath, [join(import.meta.dirname, '../scripts/bundle.ts'), `--outdir=${BUNDLES}`], { stdio: 'inherit' });
const recording = new Recording('operator', { kubernetes: 'v1.35.4', etcd: '3.6.5' });

if (wanted.has('change')) {
  console.log('\nOne change on an idle operator');
  await change(recording);
}
if (wanted.has('fleet')) {
  for (const servers of values.sizes.split(',').map(Number)) {
    console.log(`\nA fleet of ${servers}`);
    await fleet(recording, { servers, restSeconds: servers === 1000 ? Number(values.rest) : 0 });
  }
}
if (wanted.has('failover')) {
  console.log('\nFail-over');
  await failOver(recording);
}
if (values.save) await recording.save(new Date());
