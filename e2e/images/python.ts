import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requirePackage } from '../../scripts/prerequisites.ts';
import { cacheDirectory } from '../cache.ts';
import { copyOf, entriesOf } from './archive.ts';
import type { ImageConfig } from './archive.ts';
import { baseFiles, librariesVersion, NONROOT, sharedLibraries, shellTools } from './machine.ts';
import { withoutRepetition } from './node.ts';
import { installedOnce } from './packages.ts';
import { bake } from './recipe.ts';
import type { Recipe } from './recipe.ts';
import type { Entry } from './tar.ts';

/** Reference of the local Python and uv image. */
export const PYTHON_IMAGE = 'mcp-fleet.dev/uv:1';

/** The published image with the same programs: the operator's default for Python packages. */
export const PYTHON_PUBLISHED = 'ghcr.io/astral-sh/uv:0.9-python3.13-bookworm-slim';

/** Published on PyPI as a wheel that holds the program. */
const UV_VERSION = '0.13.8';

const run = promisify(execFile);

/** This machine's Python, from which the image is made and for which wheels are chosen. */
export interface Interpreter {
  readonly executable: string;
  /** For example `3.11`. */
  readonly version: string;
  /** For example `3.11.7`: packages may ask for it to the last digit. */
  readonly exact: string;
  readonly standardLibrary: string;
  readonly extensions: string;
}

/**
 * Docker-archive with Python, uv and a shell, named `mcp-fleet.dev/uv:1` or as asked: what runs `package: pypi` servers.
 *
 * Python is this machine's `python3` (3.10 or later) with its standard library; uv comes from PyPI through `pip`.
 */
export async function pythonImage(name: string = PYTHON_IMAGE): Promise<string> {
  const python = await interpreter();
  return bake({
    name,
    config: pythonConfig(['UV_PYTHON_DOWNLOADS=never', `UV_PYTHON=/usr/local/bin/python${python.version}`]),
    ingredients: [JSON.stringify(python), UV_VERSION, await librariesVersion()],
    layers: async () => [await pythonLayer(python), await uv(python.executable)],
  });
}

/** What an image with Python packages from PyPI is made from; they are in /app/packages, where Python looks for them. */
export async function pythonPackages(requirements: readonly string[]): Promise<Pick<Recipe, 'config' | 'ingredients' | 'layers'>> {
  const python = await interpreter();
  return {
    config: pythonConfig(['PYTHONPATH=/app/packages']),
    ingredients: [JSON.stringify(python), ...requirements, await librariesVersion()],
    layers: async () => [await pythonLayer(python), await installed(python, requirements)],
  };
}

const pythonConfig = (environment: readonly string[]): ImageConfig => ({
  Cmd: ['python3'],
  Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/tmp', 'PYTHONDONTWRITEBYTECODE=1', ...environment],
  User: `${NONROOT}:${NONROOT}`,
  WorkingDir: '/app',
});

/** The same bytes in each image, so that a node stores them once. */
async function pythonLayer(python: Interpreter): Promise<Entry[]> {
  return withoutRepetition([...(await baseFiles()), ...(await shellTools()), ...(await pythonRuntime(python))]);
}

async function installed({ executable, exact }: Interpreter, requirements: readonly string[]): Promise<Entry[]> {
  const digest = createHash('sha256')
    .update(JSON.stringify([exact, process.arch, requirements]))
    .digest('hex')
    .slice(0, 16);
  const folder = await installedOnce(cacheDirectory('packages', `python-${digest}`), async (unfinished) => {
    const options = ['--disable-pip-version-check', '--quiet', '--no-compile', '--only-binary', ':all:', '--target', unfinished];
    await run(executable, ['-m', 'pip', 'install', ...options, ...requirements]);
  });
  const native = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.so')).map((path) => join(folder, path));
  const libraries = await sharedLibraries(native);
  return [
    // The folder itself is the cache's, which nobody else may read.
    ...(await entriesOf(folder, '/app/packages')).filter(({ path }) => path !== '/app/packages'),
    // Some wheels bring libraries of their own beside the module that links to them: those are there already.
    ...libraries.filter(({ path }) => !path.startsWith(folder)),
  ];
}

/** Errors: that Python or pip is missing, with the command that installs it; as root on Debian or Ubuntu they are installed. */
export async function interpreter(): Promise<Interpreter> {
  await requirePackage('python3', 'python3', 'for packages from PyPI');
  const script = [
    'import json, sys, sysconfig',
    'paths = sysconfig.get_paths()',
    'version = "%d.%d" % sys.version_info[:2]',
    'exact = "%d.%d.%d" % sys.version_info[:3]',
    'dynload = next(p for p in sys.path if p.endswith("lib-dynload"))',
    'print(json.dumps(dict(executable=sys.executable, version=version, exact=exact, standardLibrary=paths["stdlib"], extensions=dynload)))',
  ].join('\n');
  const { stdout } = await run('python3', ['-I', '-c', script]);
  const python = JSON.parse(stdout) as Interpreter;
  const hasPip = await run(python.executable, ['-m', 'pip', '--version']).then(
    () => true,
    () => false,
  );
  if (!hasPip) {
    await requirePackage('pip3', 'python3-pip', 'for packages from PyPI');
  }
  return python;
}

async function pythonRuntime(python: Interpreter): Promise<Entry[]> {
  const at = `/usr/local/lib/python${python.version}`;
  const unneeded = new RegExp(
    `^${at}/(test|site-packages|dist-packages|idlelib|tkinter|turtledemo|lib2to3|config-[^/]*)(/|$)|/__pycache__(/|$)|\\.a$`,
  );
  const library = await entriesOf(python.standardLibrary, at, (path) => !unneeded.test(path));
  const names = (await readdir(python.extensions)).filter((name) => name.endsWith('.so'));
  const extensions = names.map((name) => join(python.extensions, name));
  const program = `/usr/local/bin/python${python.version}`;
  return [
    ...library,
    await copyOf(python.executable, program, 0o755),
    { kind: 'symlink', path: '/usr/local/bin/python3', target: program },
    { kind: 'symlink', path: '/usr/local/bin/python', target: program },
    ...(await sharedLibraries([python.executable, ...extensions])),
  ];
}

async function uv(python: string): Promise<Entry[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-fleet-uv-'));
  try {
    const options = ['--disable-pip-version-check', '--quiet', '--no-deps', '--only-binary', ':all:'];
    await run(python, ['-m', 'pip', 'install', ...options, '--target', folder, `uv==${UV_VERSION}`]);
    const programs = ['uv', 'uvx'].map(async (name): Promise<Entry> => {
      return { kind: 'file', path: `/usr/local/bin/${name}`, content: await readFile(join(folder, 'bin', name)), mode: 0o755 };
    });
    // Read into memory: the folder is gone when the archive is written.
    return [...(await Promise.all(programs)), ...(await sharedLibraries([join(folder, 'bin', 'uv')]))];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
