import { createHash } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { cacheDirectory } from '../cache.ts';
import { binaries } from '../cluster/binaries.ts';
import { copyOf, goArchitecture, writeArchive } from './archive.ts';

/** Reference of the image that every pod's sandbox runs. */
export const PAUSE_IMAGE = 'mcp-fleet.dev/pause:1';

/** Path of a docker-archive with the image `mcp-fleet.dev/pause:1`, built from `e2e/images/pause/` when the cache lacks it. */
export async function pauseImage(): Promise<string> {
  const { pause } = await binaries(['pause'], () => undefined);
  const digest = createHash('sha256')
    .update(await readFile(pause))
    .digest('hex')
    .slice(0, 12);
  const archive = cacheDirectory('images', `pause-${goArchitecture()}-${digest}.tar`);
  if (!(await exists(archive))) {
    await writeArchive({
      name: PAUSE_IMAGE,
      layers: [[await copyOf(pause, '/pause', 0o755)]],
      config: { Entrypoint: ['/pause'], User: '65535:65535' },
      to: archive,
    });
  }
  return archive;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
