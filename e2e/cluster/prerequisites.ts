import { lock } from '../lock.ts';
import { missingBinaries } from './binaries.ts';
import type { BinaryName, Progress } from './binaries.ts';
import { cniFolder } from './node.ts';
import { executable } from './place.ts';
import { run, tryRun } from './run.ts';

/** What this machine lacks for a cluster, and the command that changes it. */
interface Missing {
  readonly what: string;
  readonly remedy: string;
  /** Debian's package, when installing one is all it takes. */
  readonly package?: string;
}

/** Programs of a node, with the packages that hold them in Debian and in Fedora. `conntrack` is what kube-proxy forgets dead endpoints with. */
const NODE_PROGRAMS = [
  { program: 'containerd', debian: 'containerd', fedora: 'containerd' },
  { program: 'ctr', debian: 'containerd', fedora: 'containerd' },
  { program: 'runc', debian: 'runc', fedora: 'runc' },
  { program: 'iptables', debian: 'iptables', fedora: 'iptables-nft' },
  { program: 'ip', debian: 'iproute2', fedora: 'iproute' },
  { program: 'conntrack', debian: 'conntrack', fedora: 'conntrack-tools' },
  { program: 'nsenter', debian: 'util-linux', fedora: 'util-linux' },
  { program: 'unshare', debian: 'util-linux', fedora: 'util-linux' },
] as const;

/** go.mod of metrics-server, the most demanding, asks for this one. A Go from 1.21 on fetches it by itself unless told not to. */
const GO_VERSION = [1, 26, 4] as const;

/**
 * What this machine lacks to run a cluster of these programs.
 *
 * @param node whether the cluster has a node, which needs Linux, root and a container runtime
 */
async function missingPrerequisites(programs: readonly BinaryName[], node: boolean): Promise<Missing[]> {
  const needsGo = (await missingBinaries(programs)).length > 0;
  return [...(node ? missingForNode() : []), ...(needsGo ? await missingGo() : [])];
}

/**
 * Sees to it that nothing is missing: as root on Debian and Ubuntu, packages are installed.
 *
 * @throws Error that names everything missing, each with its remedy
 */
export async function ensurePrerequisites(programs: readonly BinaryName[], node: boolean, progress: Progress): Promise<void> {
  let missing = await missingPrerequisites(programs, node);
  const packages = [...new Set(missing.flatMap((item) => item.package ?? []))];
  if (packages.length > 0 && isRoot() && executable('apt-get') !== undefined) {
    await install(packages, progress);
    missing = await missingPrerequisites(programs, node);
  }
  if (missing.length > 0) {
    throw new Error(
      ['This machine lacks what the cluster needs:', ...missing.map(({ what, remedy }) => `  ${what}: ${remedy}`)].join('\n'),
    );
  }
}

function missingForNode(): Missing[] {
  if (process.platform !== 'linux') {
    return [
      {
        what: 'Linux',
        remedy: 'use kind with Docker here, or a virtual machine; clusters without a node (CONTROL_PLANE_ONLY=1) run anywhere',
      },
    ];
  }
  const missing: Missing[] = NODE_PROGRAMS.filter(({ program }) => executable(program) === undefined).map(
    ({ program, debian, fedora }) => ({
      what: program,
      remedy: installCommand(debian, fedora),
      package: debian,
    }),
  );
  if (cniFolder() === undefined) {
    const name = 'containernetworking-plugins';
    missing.push({ what: 'CNI plugins', remedy: installCommand(name, name), package: name });
  }
  if (!isRoot()) {
    missing.push({ what: 'root', remedy: 'run this with sudo; namespaces, mounts and containers need it' });
  }
  return missing;
}

async function missingGo(): Promise<Missing[]> {
  const wanted = GO_VERSION.join('.');
  const what = `Go ${wanted}, to build Kubernetes once`;
  if (executable('go') === undefined) {
    return [
      { what, remedy: 'https://go.dev/doc/install; Debian has it as golang-go in trixie-backports and later', ...(await packagedGo()) },
    ];
  }
  const { stdout } = await tryRun(['go', 'env', 'GOVERSION', 'GOTOOLCHAIN']);
  const [version = '', toolchain = ''] = stdout.split('\n');
  const enough = goSuffices(version, toolchain);
  return enough ? [] : [{ what, remedy: `this machine has ${version} (GOTOOLCHAIN=${toolchain}); https://go.dev/doc/install` }];
}

/** Whether a Go of this version can build with `GO_VERSION`, itself or by fetching that one. */
export function goSuffices(version: string, toolchain: string): boolean {
  return atLeast(version, GO_VERSION) || (atLeast(version, [1, 21, 0]) && toolchain !== 'local');
}

function atLeast(version: string, [major, minor, patch]: readonly [number, number, number]): boolean {
  const [, ...parts] = version.match(/(\d+)\.(\d+)(?:\.(\d+))?/) ?? [];
  const [ownMajor = 0, ownMinor = 0, ownPatch = 0] = parts.map((part) => Number(part ?? 0));
  return ownMajor > major || (ownMajor === major && (ownMinor > minor || (ownMinor === minor && ownPatch >= patch)));
}

/** The package of Go, where it is new enough to be of use. */
async function packagedGo(): Promise<{ package?: string }> {
  if (executable('apt-cache') === undefined) {
    return {};
  }
  const { stdout } = await tryRun(['apt-cache', 'policy', 'golang-go']);
  const candidate = stdout.match(/Candidate: (?:\d+:)?(\S+)/)?.[1] ?? '';
  return atLeast(candidate, [1, 21, 0]) ? { package: 'golang-go' } : {};
}

async function install(packages: readonly string[], progress: Progress): Promise<void> {
  await using _ = await lock('packages', (holder) => progress(`Waiting for process ${holder}, which is installing packages`));
  progress(`Installing ${packages.join(', ')}`);
  const apt = (...args: string[]): Promise<unknown> => run(['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', ...args]);
  await apt('update');
  await apt('install', '--yes', '--no-install-recommends', ...packages);
}

function installCommand(debian: string, fedora: string): string {
  if (executable('dnf') !== undefined) {
    return `sudo dnf install ${fedora}`;
  }
  return `sudo apt-get install --no-install-recommends ${debian}`;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
