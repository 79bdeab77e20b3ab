import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, copyFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../cache.ts';

/** Pins of what the images contain. */
export const CONTENT = join(import.meta.dirname, 'content');

/**
 * `node_modules` of a folder of this repository that has its own package.json and package-lock.json, installed into the cache.
 *
 * The install is keyed by the digest of the lock file and appears whole or not at all, so that several processes may ask at once. Scripts of
 * packages are not run. Errors: what npm said.
 */
export async function installedPackages(folder: string): Promise<string> {
  const lock = await readFile(join(folder, 'package-lock.json'));
  const digest = createHash('sha256').update(lock).update(`${process.platform} ${process.arch}`).digest('hex').slice(0, 16);
  const folderInCache = await installedOnce(cacheDirectory('packages', digest), async (unfinished) => {
    await Promise.all(['package.json', 'package-lock.json'].map((name) => copyFile(join(folder, name), join(unfinished, name))));
    await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: unfinished });
  });
  return join(folderInCache, 'node_modules');
}

/** Path of this folder of the cache, which `fill` fills unless it is there; whole or not at all, also when several processes ask at once. */
export async function installedOnce(folder: string, fill: (unfinished: string) => Promise<void>): Promise<string> {
  if (await exists(folder)) return folder;
  await mkdir(dirname(folder), { recursive: true });
  const unfinished = await mkdtemp(join(dirname(folder), '.unfinished-'));
  try {
    await fill(unfinished);
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!(await exists(folder))) {
      throw error;
    }
  }
  return folder;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
