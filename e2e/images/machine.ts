import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { copyOf } from './archive.ts';
import type { Entry } from './tar.ts';

const run = promisify(execFile);

/** User and group of distroless images and of this operator's pods. */
export const NONROOT = 65532;

/** Loaded by name at run time, so that no program lists them: name service (glibc before 2.34 keeps it apart) and threads' unwinding. */
const LOADED_BY_NAME = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2', 'libgcc_s.so.1'];

/** Node as this repository pins it, without which the scripts would not run at all. */
export const NODE = join(import.meta.dirname, '../../node_modules/node/bin/node');

/** What a shell script of a package may call. */
const TOOLS = ['sh', 'env', 'cat', 'cp', 'echo', 'false', 'ln', 'ls', 'mkdir', 'mv', 'readlink', 'rm', 'sleep', 'test', 'true', 'uname'];

/** Users, name lookup and certificates: what every image has, as in distroless. */
export async function baseFiles(): Promise<Entry[]> {
  return [
    text('/etc/passwd', `root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:${NONROOT}:${NONROOT}:nonroot:/home/nonroot:/sbin/nologin\n`),
    text('/etc/group', `root:x:0:\nnonroot:x:${NONROOT}:\n`),
    text('/etc/nsswitch.conf', 'hosts: files dns\n'),
    { kind: 'directory', path: '/tmp', mode: 0o1777 },
    { kind: 'directory', path: '/home/nonroot', mode: 0o700, uid: NONROOT, gid: NONROOT },
    ...(await certificates()),
  ];
}

/** The node binary with the shared libraries that it needs, taken from this machine. */
export async function nodeRuntime(at = '/usr/local/bin/node'): Promise<Entry[]> {
  const libraries = await sharedLibraries([NODE]);
  return [await copyOf(NODE, at, 0o755), ...libraries];
}

/** A shell and the few tools that packages' scripts expect, with their libraries. */
export async function shellTools(): Promise<Entry[]> {
  const found = await Promise.all(TOOLS.map((tool) => locate(tool)));
  const programs = found.filter((path) => path !== undefined);
  const files = await Promise.all(programs.map((path) => copyOf(path, `/bin/${basename(path)}`, 0o755)));
  // `#!/usr/bin/env node` is the first line of nearly every package's program.
  return [...files, { kind: 'symlink', path: '/usr/bin/env', target: '/bin/env' }, ...(await sharedLibraries(programs))];
}

/** The shared libraries that these programs load, at the paths where this machine has them. Static programs need none. */
export async function sharedLibraries(programs: readonly string[]): Promise<Entry[]> {
  const paths = new Set<string>();
  for (const program of programs) {
    const { stdout } = await run('ldd', [program]).catch((error: unknown) => notDynamic(error));
    for (const [, path] of stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)) {
      paths.add(path ?? '');
    }
  }
  const folder = [...paths].find((path) => basename(path).startsWith('libc.so'))?.replace(/[^/]+$/, '');
  const extra = await Promise.all(LOADED_BY_NAME.map((name) => existing(`${folder}${name}`)));
  return Promise.all([...new Set([...paths, ...extra.filter((path) => path !== undefined)])].map((path) => copyOf(path, path, 0o755)));
}

/** What tells one machine's libraries from another's: the C library's own version line. */
export async function librariesVersion(): Promise<string> {
  const { stdout } = await run('ldd', ['--version']);
  return stdout.split('\n')[0] ?? '';
}

/** Version of the pinned Node, for example `24.21.0`. */
export async function nodeVersion(): Promise<string> {
  const text = await readFile(join(NODE, '../../package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function text(path: string, content: string): Entry {
  return { kind: 'file', path, content };
}

async function certificates(): Promise<Entry[]> {
  const bundle = await existing('/etc/ssl/certs/ca-certificates.crt');
  return bundle === undefined ? [] : [await copyOf(bundle, bundle, 0o644)];
}

async function locate(tool: string): Promise<string | undefined> {
  return (await existing(`/bin/${tool}`)) ?? existing(`/usr/bin/${tool}`);
}

function existing(path: string): Promise<string | undefined> {
  return access(path).then(
    () => path,
    () => undefined,
  );
}

function notDynamic(error: unknown): { stdout: string } {
  const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
  if (/not a dynamic executable|statically linked/.test(stdout + stderr)) {
    return { stdout: '' };
  }
  throw error;
}
