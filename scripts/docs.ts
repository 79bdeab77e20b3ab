import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { ROOT } from './sources.ts';

/** A page for people. */
export interface Page {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** A fenced block of code in a page. */
export interface CodeBlock {
  readonly page: string;
  /** Line of its fence, from 1. */
  readonly line: number;
  /** What stands behind the fence, such as `yaml`. */
  readonly language: string;
  readonly text: string;
}

const OUTSIDE_DOCS = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'examples/README.md'];

/** Every page, sorted by path. */
export async function pages(): Promise<readonly Page[]> {
  const entries = await readdir(join(ROOT, 'docs'), { withFileTypes: true, recursive: true });
  const inDocs = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
  return Promise.all(
    [...OUTSIDE_DOCS, ...inDocs].toSorted().map(async (path) => ({ path, text: await readFile(join(ROOT, path), 'utf8') })),
  );
}

/** Fences may be indented, as in list items; their indentation is taken from the lines between them. */
export function codeBlocks({ path, text }: Page): readonly CodeBlock[] {
  const fences = /^([ ]*)```([a-z]*)\n([\s\S]*?)^\1```$/gm;
  return [...text.matchAll(fences)].map(({ index, 1: indent = '', 2: language = '', 3: body = '' }) => ({
    page: path,
    line: text.slice(0, index).split('\n').length,
    language,
    text: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}

/** Targets of links to files of the repository, with the anchor if there is one. Links in code do not count. */
export function links({ text }: Page): readonly { readonly file: string; readonly anchor: string | undefined }[] {
  const prose = text.replaceAll(/^[ ]*```[\s\S]*?^[ ]*```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(({ 1: target = '' }) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = '', anchor] = target.split('#', 2);
      return { file, anchor };
    });
}

/** Anchors of the headings of a page, by GitHub's rule. Headings that repeat get a number there; ours do not repeat where they are linked. */
export function anchors({ text }: Page): ReadonlySet<string> {
  const prose = text.replaceAll(/^[ ]*```[\s\S]*?^[ ]*```$/gm, '');
  return new Set(
    [...prose.matchAll(/^#{1,6} +(.+)$/gm)].map(({ 1: heading = '' }) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}

/** First cells of the rows of all tables of a text, without their code marks. */
export const firstCells = (text: string): readonly string[] => [...text.matchAll(/^\| `([^`]+)` \|/gm)].map(({ 1: cell = '' }) => cell);
