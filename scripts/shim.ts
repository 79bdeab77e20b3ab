import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requirePackage } from './prerequisites.ts';
import { ROOT } from './sources.ts';

/** Architectures of the image, as Go and the OCI call them. */
const ARCHITECTURES = ['amd64', 'arm64'] as const;

/** That of this machine. */
export const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Builds the one native program, for each architecture, into dist/. Static and reproducible: the same source gives the same bytes. */
export async function buildShim(): Promise<void> {
  await requirePackage('go', 'golang-go', 'to build the stdio shim');
  await mkdir(join(ROOT, 'dist'), { recursive: true });
  for (const GOARCH of ARCHITECTURES) {
    const output = join(ROOT, `dist/stdio-shim-${GOARCH}`);
    const env = { ...process.env, CGO_ENABLED: '0', GOOS: 'linux', GOARCH };
    await promisify(execFile)('go', ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', '-o', output, '.'], {
      cwd: join(ROOT, 'stdio-shim'),
      env,
    });
  }
}
