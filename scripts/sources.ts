import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** Root of the repository. */
export const ROOT = join(import.meta.dirname, '..');

/** Folders with programs of ours; some come with later parts of the project. */
const FOLDERS = ['api', 'mcp', 'compiler', 'operator', 'guard', 'tunnel', 'cli', 'e2e', 'bench', 'scripts'] as const;

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
  /** Files of ours that it imports, as paths from the root; type-only imports included. */
  readonly imports: readonly string[];
}

/** Every TypeScript file of ours, sorted by path. */
export async function sourceFiles(): Promise<readonly SourceFile[]> {
  const found = await Promise.all(FOLDERS.map((folder) => typescriptFiles(join(ROOT, folder))));
  const paths = found.flat().map((path) => relative(ROOT, path));
  return Promise.all(paths.toSorted().map(read));
}

async function read(path: string): Promise<SourceFile> {
  const text = await readFile(join(ROOT, path), 'utf8');
  const specifiers = [...text.matchAll(/(?:^|[\s}])(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map((match) => match[1] ?? '');
  const programs = specifiers.filter((specifier) => specifier.endsWith('.ts'));
  return { path, text, imports: programs.map((specifier) => join(dirname(path), specifier)) };
}

async function typescriptFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  return entries
    .filter(
      (entry) => entry.isFile() && entry.name.endsWith('.ts') && !/(^|\/)(node_modules|\.artifacts|dist)(\/|$)/.test(entry.parentPath),
    )
    .map((entry) => join(entry.parentPath, entry.name));
}
