import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../cache.ts';
import { copyOf, goArchitecture, writeArchive } from './archive.ts';

/** Reference of the image that every pod's sandbox runs. */
export const PAUSE_IMAGE = 'mcp-fleet.dev/pause:1';

const SOURCE = join(import.meta.dirname, 'pause');

/** Path of a docker-archive with the image `mcp-fleet.dev/pause:1`, built from `e2e/images/pause/` when the cache lacks it. */
export async function pauseImage(): Promise<string> {
  const version = createHash('sha256')
    .update(await readFile(join(SOURCE, 'main.go')))
    .digest('hex')
    .slice(0, 12);
  const archive = cacheDirectory('images', `pause-${goArchitecture()}-${version}.tar`);
  if (await exists(archive)) {
    return archive;
  }
  const folder = await mkdtemp(join(tmpdir(), 'mcp-fleet-pause-'));
  try {
    const program = join(folder, 'pause');
    await promisify(execFile)('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', program, '.'], {
      cwd: SOURCE,
      env: { ...process.env, CGO_ENABLED: '0' },
    });
    await writeArchive({
      name: PAUSE_IMAGE,
      layers: [[await copyOf(program, '/pause', 0o755)]],
      config: { Entrypoint: ['/pause'], User: '65535:65535' },
      to: archive,
    });
    return archive;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
