import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** A generated file: where it is, from the root of the repository, and everything that it holds. */
export interface Artifact {
  readonly path: string;
  readonly content: string;
}

/** Makes files from sources alone: the same sources give the same bytes, on any machine and day. */
export type Generator = () => readonly Artifact[] | Promise<readonly Artifact[]>;

/** The artifacts that are missing below `root`, or differ there by a byte. */
export async function stale(artifacts: readonly Artifact[], root: string): Promise<Artifact[]> {
  const current = await Promise.all(artifacts.map(({ path }) => readFile(resolve(root, path), 'utf8').catch(() => undefined)));
  return artifacts.filter(({ content }, index) => current[index] !== content);
}

export async function write({ path, content }: Artifact, root: string): Promise<void> {
  const file = resolve(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}
