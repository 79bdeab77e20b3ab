import { access, rename, writeFile } from 'node:fs/promises';
import { setTimeout as after } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startRegistry } from './registry.ts';

/**
 * Registries for a cluster that stays: `node e2e/registry/main.ts --address 198.18.0.1 --state FILE [--pypi REQUIREMENT]…`.
 *
 * Writes `{pid, npmUrl, pypiUrl}` into FILE when it serves, and ends when that file goes, as it does with the folder of the cluster.
 */
const { values } = parseArgs({
  options: {
    address: { type: 'string' },
    state: { type: 'string' },
    pypi: { type: 'string', multiple: true, default: [] },
  },
});
const { address, state, pypi } = values;
if (address === undefined || state === undefined) {
  throw new TypeError('--address and --state are required');
}

await using registry = await startRegistry({ address, pypi });
await writeFile(`${state}.unfinished`, JSON.stringify({ pid: process.pid, npmUrl: registry.npmUrl, pypiUrl: registry.pypiUrl }));
await rename(`${state}.unfinished`, state);
const stopped = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => stopped.abort());
}
while (!stopped.signal.aborted && (await exists(state))) {
  await after(2_000, undefined, { signal: stopped.signal }).catch(() => undefined);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
