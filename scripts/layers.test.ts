import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sourceFiles } from './sources.ts';
import type { SourceFile } from './sources.ts';

const files = await sourceFiles();
const byPath = new Map(files.map((file) => [file.path, file]));

/** Who may import whom, besides itself. The longest matching folder counts. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  api: [],
  mcp: [],
  'operator/kube': [],
  'operator/runtime': ['operator/kube'],
  compiler: ['api', 'mcp'],
  'operator/controllers': ['operator/kube', 'operator/runtime', 'operator', 'compiler', 'api', 'mcp'],
  operator: ['operator/kube', 'operator/runtime', 'operator/controllers', 'compiler', 'api', 'mcp'],
  guard: ['api', 'mcp'],
  tunnel: ['api', 'mcp'],
  cli: ['compiler', 'api', 'mcp'],
  e2e: ['*'],
  bench: ['*'],
  scripts: ['*'],
};

/** Lines. Tests are tables and stories about one subject, and may be twice as long. */
const LIMITS = { source: 400, test: 800 };

/** Longer than that, each with the reason why it is one file all the same. */
const LONG_FILES: Readonly<Record<string, string>> = {
  'mcp/policy/engine.test.ts': 'the tables of decisions, one subject',
};

/** Started by path, so that nothing imports them; and the table of Kubernetes' kinds, which is complete rather than minimal. */
const UNUSED_MAY_BE = /(^|\/)main\.ts$|^(scripts|bench|e2e)\/|\.test\.ts$|\.bench\.ts$|^operator\/kube\/resources\.ts$/;

function layerOf(path: string): string {
  const layers = Object.keys(LAYERS).filter((layer) => path.startsWith(`${layer}/`));
  return layers.toSorted((a, b) => b.length - a.length)[0] ?? '';
}

function mayImport(from: SourceFile, to: string): boolean {
  const own = layerOf(from.path);
  const target = layerOf(to);
  const allowed = LAYERS[own] ?? [];
  // Tests use the clusters and scripted servers of e2e, whatever layer they are in.
  return own === target || allowed.includes('*') || allowed.includes(target) || (isTest(from) && target === 'e2e');
}

function isTest(file: SourceFile): boolean {
  return /\.(test|bench)\.ts$/.test(file.path);
}

describe('layers', () => {
  test('imports go one way', () => {
    const wrong = files.flatMap((file) => file.imports.filter((to) => !mayImport(file, to)).map((to) => `${file.path} imports ${to}`));
    expect(wrong).toEqual([]);
  });

  test('every import exists', () => {
    const missing = files.flatMap((file) => file.imports.filter((to) => !byPath.has(to)).map((to) => `${file.path} imports ${to}`));
    expect(missing).toEqual([]);
  });

  test('no file imports itself by way of others', () => {
    expect(cycles()).toEqual([]);
  });

  test('the control plane machinery has no MCP words', () => {
    const machinery = files.filter((file) => /^operator\/(kube|runtime)\//.test(file.path) && !isTest(file));
    const wordy = machinery.filter((file) => /\bMCP[A-Z]|mcpserver|@modelcontextprotocol/.test(file.text));
    expect(wordy.map((file) => file.path)).toEqual([]);
  });
});

describe('files', () => {
  test('are short, or say why not', () => {
    const long = files.filter((file) => lines(file) > (isTest(file) ? LIMITS.test : LIMITS.source) && LONG_FILES[file.path] === undefined);
    expect(long.map((file) => `${file.path}: ${lines(file)} lines`)).toEqual([]);
  });

  test('are named after what is in them', () => {
    const vague = files.filter((file) => /^(utils?|helpers?|common|misc|shared)\.ts$/.test(basename(file.path)));
    expect(vague.map((file) => file.path)).toEqual([]);
  });

  test('have no default export', () => {
    expect(files.filter((file) => /^export default /m.test(file.text)).map((file) => file.path)).toEqual([]);
  });

  test('export nothing that no other file uses', () => {
    expect(files.filter((file) => !UNUSED_MAY_BE.test(file.path)).flatMap(deadExports)).toEqual([]);
  });
});

function lines(file: SourceFile): number {
  return file.text.split('\n').length - 1;
}

/** Values that neither another file nor their own uses. Types are exported for the sake of signatures, and left to the compiler. */
function deadExports(file: SourceFile): string[] {
  const names = [...file.text.matchAll(/^export (?:async )?(?:const|let|function\*?|class) (\w+)/gm)].map((match) => match[1] ?? '');
  const importers = files.filter((other) => other.imports.includes(file.path));
  return names
    .filter((name) => occurrences(file, name) < 2 && !importers.some((other) => occurrences(other, name) > 0))
    .map((name) => `${file.path}: ${name}`);
}

function occurrences(file: SourceFile, name: string): number {
  return [...file.text.matchAll(new RegExp(`\\b${name}\\b`, 'g'))].length;
}

function cycles(): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  function visit(path: string, trail: readonly string[]): void {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.push([...trail.slice(start), path].join(' → '));
      return;
    }
    if (done.has(path)) {
      return;
    }
    for (const to of valueImports(path)) {
      visit(to, [...trail, path]);
    }
    done.add(path);
  }
  for (const file of files) {
    visit(file.path, []);
  }
  return found;
}

/** Imports that remain at run time: `import type` may go in circles. */
function valueImports(path: string): readonly string[] {
  const file = byPath.get(path);
  if (file === undefined) {
    return [];
  }
  const types = [...file.text.matchAll(/^import type [^;]*? from '(\.{1,2}\/[^']+)'/gm)].map((match) => basename(match[1] ?? ''));
  const values = [...file.text.matchAll(/^(?:import|export) (?!type )[^;]*? from '(\.{1,2}\/[^']+)'/gm)].map((match) =>
    basename(match[1] ?? ''),
  );
  return file.imports.filter((to) => values.includes(basename(to)) || !types.includes(basename(to)));
}
