import { createHash } from 'node:crypto';
import { access, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from '../cache.ts';
import { goArchitecture, writeArchive } from './archive.ts';
import type { ImageConfig } from './archive.ts';
import type { Entry } from './tar.ts';

const DAY = 24 * 60 * 60 * 1000;

/** What an image is made from. */
export interface Recipe {
  /** Reference that the image gets when it is loaded. */
  readonly name: string;
  readonly config: ImageConfig;
  /** What decides about the content besides the sources in this folder, for example a lock file's text. */
  readonly ingredients: readonly (string | Uint8Array)[];
  /** Collects the content; called only when the cache lacks the image. */
  layers(): Promise<readonly (readonly Entry[])[]>;
}

/** Path of the docker-archive made by `recipe`, from the cache when nothing that it depends on has changed. */
export async function bake(recipe: Recipe): Promise<string> {
  const digest = createHash('sha256').update(JSON.stringify([recipe.name, recipe.config, goArchitecture()]));
  for (const ingredient of [...(await sources()), ...recipe.ingredients]) {
    digest.update(createHash('sha256').update(ingredient).digest());
  }
  const label = recipe.name.replace(/^.*\//, '').replace(/[^a-z0-9.]+/gi, '-');
  const path = cacheDirectory('images', `${label}-${digest.digest('hex').slice(0, 16)}.tar`);
  if (!(await exists(path))) {
    await writeArchive({ name: recipe.name, layers: await recipe.layers(), config: recipe.config, to: path });
    await removeOld(cacheDirectory('images'), label);
  }
  return path;
}

/** The programs of this folder: an image is made anew when what makes it changes. */
async function sources(): Promise<readonly Buffer[]> {
  const names = (await readdir(import.meta.dirname)).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  return Promise.all(names.toSorted().map((name) => readFile(join(import.meta.dirname, name))));
}

/** Archives are large, and each change here makes new ones: those of the same image that are a day old go. */
async function removeOld(folder: string, label: string): Promise<void> {
  const names = (await readdir(folder)).filter(
    (name) => name.startsWith(`${label}-`) && /^[0-9a-f]{16}\.tar$/.test(name.slice(label.length + 1)),
  );
  for (const name of names) {
    const info = await stat(join(folder, name)).catch(() => undefined);
    if (info !== undefined && Date.now() - info.mtimeMs > DAY) {
      await rm(join(folder, name), { force: true });
    }
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
