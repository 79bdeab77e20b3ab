import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

/** An archive of programs, as its publisher names it. */
export interface Release {
  readonly url: string;
  /** Hexadecimal SHA-512 of the archive. */
  readonly sha512: string;
  /** Folder of the programs inside the archive. */
  readonly folder: string;
}

/** Sums of the server archives, from the release notes of this version (CHANGELOG-1.35.md, "Server Binaries"). */
const SUMS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'v1.35.4': {
    amd64:
      '7454c2d9023de3230972e965e1e2a587a291e2a1abee703bb0737057e1646b23ebac538b93dd778e93579e3c293dc1fa8d002e6848ad5ebc01598bc47358fe44',
    arm64:
      '67187a2fe780be7816f9d10e082ed02cbba306bab379980280d00ba4c4017ff53c50cd2ff81d248c91ddcc064276b8760e17c73a1a7da1d35067a6fc0ffbdc88',
  },
};

const ARCHITECTURES: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: 'amd64', arm64: 'arm64' };

/** The official archive of a Kubernetes version for this machine, if its sum is pinned. */
export function kubernetesRelease(
  version: string,
  { platform, arch } = { platform: process.platform, arch: process.arch },
): Release | undefined {
  const architecture = ARCHITECTURES[arch];
  const sha512 = architecture === undefined || platform !== 'linux' ? undefined : SUMS[version]?.[architecture];
  return sha512 === undefined
    ? undefined
    : { url: `https://dl.k8s.io/${version}/kubernetes-server-linux-${architecture}.tar.gz`, sha512, folder: 'kubernetes/server/bin' };
}

export interface DownloadOptions {
  /** Programs to take out of the archive. */
  readonly programs: readonly string[];
  /** Folder that gets them; on the file system of the result, so that they appear whole or not at all. */
  readonly to: string;
  readonly progress: (line: string) => void;
  /** How long the first answer may take, milliseconds: a machine without a way out must not wait. */
  readonly answerMs?: number;
  /** How long nothing may arrive later, milliseconds. */
  readonly stallMs?: number;
}

/**
 * Programs of an official release.
 *
 * Guarantees: nothing of an archive whose sum is another is kept or run. Never throws: whoever asked can build from source instead, and is told why.
 *
 * @returns whether the programs are there
 */
export async function download(release: Release, options: DownloadOptions): Promise<boolean> {
  const { programs, to, progress, answerMs = 3_000, stallMs = 15_000 } = options;
  await mkdir(to, { recursive: true });
  const folder = await mkdtemp(join(to, '.download-'));
  try {
    const archive = join(folder, 'archive.tar.gz');
    const sum = await fetched(release.url, { archive, progress, answerMs, stallMs });
    if (sum !== release.sha512)
      throw new Error(`its SHA-512 is ${sum}, not ${release.sha512}: it was changed on the way, nothing of it is used`);
    const members = programs.map((program) => `${release.folder}/${program}`);
    await promisify(execFile)('tar', ['-xzf', archive, '-C', folder, ...members]);
    for (const program of programs) await rename(join(folder, release.folder, program), join(to, program));
    return true;
  } catch (error) {
    progress(`Not downloaded: ${release.url}: ${reason(error)}`);
    return false;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Fetching extends Required<Pick<DownloadOptions, 'progress' | 'answerMs' | 'stallMs'>> {
  readonly archive: string;
}

/** Writes the body of a URL to a file; returns its SHA-512. */
async function fetched(url: string, { archive, progress, answerMs, stallMs }: Fetching): Promise<string> {
  const patience = new AbortController();
  const giveUp = (why: string) => () => patience.abort(new Error(why));
  let timer = setTimeout(giveUp(`no answer within ${answerMs} ms`), answerMs);
  try {
    const response = await fetch(url, { signal: patience.signal });
    if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
    progress(`Downloading ${url}${size(response.headers.get('content-length'))}`);
    const hash = createHash('sha512');
    const watched = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        clearTimeout(timer);
        timer = setTimeout(giveUp(`nothing arrived for ${stallMs} ms`), stallMs);
        hash.update(chunk);
        done(null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(response.body), watched, createWriteStream(archive), { signal: patience.signal });
    return hash.digest('hex');
  } catch (error) {
    throw patience.signal.aborted ? patience.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

const size = (bytes: string | null): string => (bytes === null ? '' : ` (${Math.round(Number(bytes) / 1024 / 1024)} MiB)`);

/** `fetch failed` says nothing; its cause does. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
