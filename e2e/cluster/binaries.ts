import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { access, constants, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheDirectory } from '../cache.ts';
import { lock } from '../lock.ts';
import { download, kubernetesRelease } from './release.ts';

/** The programs a cluster runs, each with the Go module of e2e/kubernetes/ that pins it and its time to build on two cores. */
const SOURCES = {
  etcd: { folder: '.', module: 'go.etcd.io/etcd/server/v3', package: 'go.etcd.io/etcd/server/v3', family: 'etcd', seconds: 35 },
  'kube-apiserver': kubernetes('kube-apiserver', 130),
  'kube-controller-manager': kubernetes('kube-controller-manager', 45),
  'kube-scheduler': kubernetes('kube-scheduler', 5),
  kubelet: kubernetes('kubelet', 15),
  'kube-proxy': kubernetes('kube-proxy', 5),
  kubectl: kubernetes('kubectl', 20),
  coredns: { folder: 'coredns', module: 'github.com/coredns/coredns', package: '.', family: 'coredns', seconds: 50 },
  'metrics-server': {
    folder: 'metrics-server',
    module: 'sigs.k8s.io/metrics-server',
    package: 'sigs.k8s.io/metrics-server/cmd/metrics-server',
    family: 'metrics-server',
    seconds: 110,
  },
  pause: { folder: '../images/pause', module: '', package: '.', family: 'pause', seconds: 1 },
  silent: { folder: '../images/silent', module: '', package: '.', family: 'silent', seconds: 2 },
} as const satisfies Record<string, Source>;

export type BinaryName = keyof typeof SOURCES;

interface Source {
  /** Below e2e/kubernetes/; holds the go.mod. */
  readonly folder: string;
  /** Its pinned version is the program's version; empty for a program of our own. */
  readonly module: string;
  readonly package: string;
  /** Folder in the cache, above the version. */
  readonly family: string;
  /** Measured with an empty build cache, in the order of the table, on two cores. */
  readonly seconds: number;
}

export type Progress = (line: string) => void;

const ROOT = join(import.meta.dirname, '..', 'kubernetes');

/**
 * Paths of the programs asked for. Each is taken from `KUBEBUILDER_ASSETS`, else from the cache, else from the official release where that
 * can be reached, else it is built from the pinned Go modules into the cache. Two runs at once build once.
 *
 * @param progress told what is built and how long it takes; silent when everything is there
 * @throws Error when Go is missing or a build fails, with the compiler's words
 */
export async function binaries<Name extends BinaryName>(names: readonly Name[], progress: Progress): Promise<Record<Name, string>> {
  const found = await findAll(names);
  if (names.some((name) => found[name] === undefined)) {
    await using _ = await lock('binaries', (holder) => progress(`Waiting for process ${holder}, which is building Kubernetes`));
    await downloadKubernetes(await missingBinaries(names), progress);
    for (const name of names) {
      found[name] ??= (await find(name)) ?? (await build(name, progress));
    }
  }
  return found as Record<Name, string>;
}

/** Names of those that would have to be built. */
export async function missingBinaries(names: readonly BinaryName[]): Promise<BinaryName[]> {
  const found = await findAll(names);
  return names.filter((name) => found[name] === undefined);
}

async function findAll<Name extends BinaryName>(names: readonly Name[]): Promise<Partial<Record<Name, string>>> {
  const paths = await Promise.all(names.map(async (name) => [name, await find(name)] as const));
  return Object.fromEntries(paths.filter(([, path]) => path !== undefined)) as Partial<Record<Name, string>>;
}

async function find(name: BinaryName): Promise<string | undefined> {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  const candidates = [...(assets ? [join(assets, name)] : []), await cachePath(name)];
  for (const path of candidates) {
    if (await isExecutable(path)) {
      return path;
    }
  }
  return undefined;
}

/** Version of a module as the go.mod beside it pins it, for example `v1.35.4`. */
export async function pinnedVersion(name: BinaryName): Promise<string> {
  const source: Source = SOURCES[name];
  if (source.module === '') {
    return 'v1';
  }
  const path = join(ROOT, source.folder, 'go.mod');
  const line = (await readFile(path, 'utf8')).split('\n').find((text) =>
    text
      .trim()
      .replace(/^require /, '')
      .startsWith(`${source.module} v`),
  );
  const version = line?.match(/ (v[0-9]\S*)/)?.[1];
  if (version === undefined) {
    throw new Error(`${path} does not require ${source.module}`);
  }
  return version;
}

async function cachePath(name: BinaryName): Promise<string> {
  const source: Source = SOURCES[name];
  const version = await pinnedVersion(name);
  if (source.package !== '.') {
    return cacheDirectory(source.family, version, name);
  }
  const main = await readFile(join(ROOT, source.folder, 'main.go'));
  return cacheDirectory(source.family, `${version}-${createHash('sha256').update(main).digest('hex').slice(0, 8)}`, name);
}

/** Takes what is missing of Kubernetes from its official release, all at once. Whatever it does not bring is built. */
async function downloadKubernetes(missing: readonly BinaryName[], progress: Progress): Promise<void> {
  const programs = missing.filter((name) => SOURCES[name].family === 'kubernetes');
  const [first] = programs;
  const release = first === undefined ? undefined : kubernetesRelease(await pinnedVersion(first));
  if (first === undefined || release === undefined) return;
  await download(release, { programs, to: dirname(await cachePath(first)), progress });
}

async function build(name: BinaryName, progress: Progress): Promise<string> {
  const source: Source = SOURCES[name];
  const [version, target] = [await pinnedVersion(name), await cachePath(name)];
  progress(`Building ${name} ${version} from its pinned Go module (about ${source.seconds} s on two cores, once)`);
  const started = performance.now();
  await mkdir(dirname(target), { recursive: true });
  const unfinished = `${target}.${process.pid}.unfinished`;
  try {
    const flags = ['-trimpath', '-buildvcs=false', '-ldflags', linkerFlags(version), '-o', unfinished];
    await go(['build', ...flags, source.package], join(ROOT, source.folder));
    await rename(unfinished, target);
  } finally {
    await rm(unfinished, { force: true });
  }
  progress(`Built ${name} in ${Math.round((performance.now() - started) / 1000)} s`);
  return target;
}

/** Kubernetes components report their version from these variables; without them they call themselves v0.0.0 and refuse each other. */
function linkerFlags(version: string): string {
  const [, major, minor] = version.match(/^v(\d+)\.(\d+)\./) ?? [];
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  const values = packages.flatMap((path) => [
    `-X ${path}.gitVersion=${version}`,
    `-X ${path}.gitMajor=${major ?? ''}`,
    `-X ${path}.gitMinor=${minor ?? ''}`,
  ]);
  return ['-s', '-w', ...values].join(' ');
}

/** A module's own settings decide, not a workspace or flags of the machine. */
function go(args: readonly string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, {
      cwd,
      env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-4000);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? new Error('Go is needed to build Kubernetes; it was not found in PATH', { cause: error }) : error);
    });
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`go ${args.join(' ')} failed:\n${errors}`))));
  });
}

function kubernetes(name: string, seconds: number): Source {
  return { folder: '.', module: 'k8s.io/kubernetes', package: `k8s.io/kubernetes/cmd/${name}`, family: 'kubernetes', seconds };
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
