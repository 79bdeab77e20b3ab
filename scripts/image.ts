import { execFile, spawn } from 'node:child_process';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../e2e/cache.ts';
import { BASE_IMAGE, baseImage } from '../e2e/images/node.ts';
import { lock } from '../e2e/lock.ts';
import { requirePackage } from './prerequisites.ts';
import { IMAGE_REPOSITORY } from './programs.ts';
import { architecture, buildShim } from './shim.ts';
import { ROOT } from './sources.ts';

/**
 * `make image`: builds the Dockerfile into dist/image.tar, a docker-archive named after the released image.
 *
 * With a running Docker the real base image is used and Docker has the image afterwards, too. Otherwise buildah builds the very same file
 * on a base made from the pinned Node, without a daemon and without the network.
 */
const ARCHIVE = join(ROOT, 'dist/image.tar');
/** Becomes the archive when it is complete, so that whoever reads the last one meanwhile reads all of it. */
const UNFINISHED = `${ARCHIVE}.unfinished`;

const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const reference = `${IMAGE_REPOSITORY}:${version}`;
const revision = await promisify(execFile)('git', ['rev-parse', 'HEAD'], { cwd: ROOT }).then(
  ({ stdout }) => stdout.trim(),
  () => 'unknown',
);
const given = { VERSION: version, REVISION: revision, TARGETARCH: architecture };
const buildArguments = Object.entries(given).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);

try {
  // The bundles, the archive and buildah's store are the same for all runs: of two at a time one waits.
  await using _ = await lock('image', (holder) => process.stdout.write(`waiting for process ${holder}, which builds the image\n`));
  await run('node', ['scripts/bundle.ts']);
  await buildShim();
  await mkdir(join(ROOT, 'dist'), { recursive: true });
  await rm(UNFINISHED, { force: true });
  await ((await dockerRuns()) ? withDocker() : withBuildah());
  await rename(UNFINISHED, ARCHIVE);
  process.stdout.write(`${reference} is in dist/image.tar\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function withDocker(): Promise<void> {
  await run('docker', ['build', '--quiet', '--tag', reference, ...buildArguments, '.']);
  await run('docker', ['save', '--output', UNFINISHED, reference]);
}

async function withBuildah(): Promise<void> {
  await requirePackage('buildah', 'buildah', 'to build the image without Docker');
  const base = await baseImage();
  const store = cacheDirectory('buildah');
  // vfs and chroot need neither overlay mounts nor user namespaces: they work inside containers, too.
  const buildah = ['--storage-driver', 'vfs', '--root', join(store, 'root'), '--runroot', join(store, 'run')];
  await run('buildah', [...buildah, 'pull', '--quiet', `docker-archive:${base}`]);
  const build = ['--isolation', 'chroot', '--format', 'docker', '--pull-never', '--timestamp', '0', '--tag', reference];
  await run('buildah', [...buildah, 'bud', '--quiet', ...build, '--build-arg', `BASE_IMAGE=${BASE_IMAGE}`, ...buildArguments, '.']);
  await run('buildah', [...buildah, 'push', '--quiet', reference, `docker-archive:${UNFINISHED}:${reference}`]);
  await run('buildah', [...buildah, 'rmi', '--prune', '--force']);
}

/** Is there a daemon that answers, not only a client? */
async function dockerRuns(): Promise<boolean> {
  return promisify(execFile)('docker', ['info'], { timeout: 10_000 }).then(
    () => true,
    () => false,
  );
}

/** Errors: with the command line, when it does not end with 0. */
function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ${args.join(' ')} ended with ${code}`))));
  });
}
