import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readlink, rename, rm, stat, lstat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { archivePath, BLOCK, END_OF_ARCHIVE, header, padding } from './tar.ts';
import type { Entry } from './tar.ts';

export type { Entry } from './tar.ts';

/** What runs in the image: the `config` object of the OCI image configuration, in its own words. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
}

export interface ArchiveOptions {
  /** Reference that the image gets when the archive is loaded, for example `mcp-fleet.dev/pause:1`. */
  readonly name: string;
  /** Bottom layer first. The entries of a layer are sorted by path. */
  readonly layers: readonly (readonly Entry[])[];
  readonly config: ImageConfig;
  /** File to write; it appears complete or not at all. */
  readonly to: string;
  /** Processor in Go's words; default: that of this machine. */
  readonly architecture?: string;
}

export interface Archive {
  readonly path: string;
  readonly name: string;
  /** `sha256:…` of the image configuration: what Docker and containerd call the image ID. */
  readonly imageId: string;
  /** `sha256:…` of each uncompressed layer. */
  readonly layers: readonly string[];
}

/** Go's name of this machine's processor, as image configurations want it. */
export function goArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

/**
 * Writes a docker-archive tar (what `docker save` writes), without a container engine.
 *
 * Equal input gives an equal file, byte for byte: owners, times and order are fixed. Layers are not compressed.
 */
export async function writeArchive(options: ArchiveOptions): Promise<Archive> {
  await mkdir(dirname(options.to), { recursive: true });
  const unfinished = `${options.to}.${process.pid}.${Date.now()}.unfinished`;
  const file = await open(unfinished, 'w');
  try {
    const written = await writeImage(new Output(file), options);
    await file.close();
    await rename(unfinished, options.to);
    return { path: options.to, name: options.name, ...written };
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(unfinished, { force: true });
    throw error;
  }
}

/** Entries for a file or directory tree of this machine, placed at `at` in the image. Symbolic links stay links. */
export async function entriesOf(source: string, at: string, keep: (path: string) => boolean = () => true): Promise<Entry[]> {
  const info = await lstat(source);
  const path = posix.normalize(at);
  if (!keep(path)) {
    return [];
  }
  if (info.isSymbolicLink()) {
    return [{ kind: 'symlink', path, target: await readlink(source) }];
  }
  if (info.isFile()) {
    return [{ kind: 'copy', path, source, size: info.size, mode: info.mode & 0o7777 }];
  }
  if (!info.isDirectory()) {
    return [];
  }
  const names = await readdir(source);
  const children = await Promise.all(names.map((name) => entriesOf(join(source, name), posix.join(path, name), keep)));
  return [...(path === '/' || path === '.' ? [] : [{ kind: 'directory', path, mode: info.mode & 0o7777 } as const]), ...children.flat()];
}

/** Entry for one file of this machine; symbolic links are followed. */
export async function copyOf(source: string, at: string, mode?: number): Promise<Entry> {
  const info = await stat(source);
  return { kind: 'copy', path: at, source, size: info.size, mode: mode ?? info.mode & 0o7777 };
}

async function writeImage(
  out: Output,
  { layers, config, name, architecture }: ArchiveOptions,
): Promise<Pick<Archive, 'imageId' | 'layers'>> {
  const digests: string[] = [];
  for (const layer of layers) {
    digests.push(await writeLayer(out, layer));
  }
  const image = JSON.stringify({
    created: '1970-01-01T00:00:00Z',
    architecture: architecture ?? goArchitecture(),
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: digests.map((digest) => `sha256:${digest}`) },
  });
  const imageDigest = createHash('sha256').update(image).digest('hex');
  await writeText(out, `${imageDigest}.json`, image);
  const manifest = [{ Config: `${imageDigest}.json`, RepoTags: [name], Layers: digests.map((digest) => `${digest}.tar`) }];
  await writeText(out, 'manifest.json', JSON.stringify(manifest));
  await out.write(END_OF_ARCHIVE);
  return { imageId: `sha256:${imageDigest}`, layers: digests.map((digest) => `sha256:${digest}`) };
}

async function writeText(out: Output, path: string, content: string): Promise<void> {
  const bytes = Buffer.from(content);
  await out.write(Buffer.concat([header({ kind: 'file', path, content }, bytes.length), bytes, padding(bytes.length)]));
}

/** A layer is named after its digest, known only at its end: its header is written last, into the place kept free for it. */
async function writeLayer(out: Output, layer: readonly Entry[]): Promise<string> {
  const place = out.position;
  await out.write(Buffer.alloc(BLOCK));
  const hash = createHash('sha256');
  const start = out.position;
  const sorted = layer.toSorted((a, b) => (archivePath(a) < archivePath(b) ? -1 : 1));
  for (const entry of sorted) {
    for await (const bytes of entryBytes(entry)) {
      hash.update(bytes);
      await out.write(bytes);
    }
  }
  hash.update(END_OF_ARCHIVE);
  await out.write(END_OF_ARCHIVE);
  const digest = hash.digest('hex');
  await out.writeAt(place, header({ kind: 'file', path: `${digest}.tar`, content: '' }, out.position - start));
  return digest;
}

async function* entryBytes(entry: Entry): AsyncGenerator<Buffer> {
  switch (entry.kind) {
    case 'directory':
    case 'symlink':
      yield header(entry, 0);
      return;
    case 'file': {
      const bytes = Buffer.from(entry.content);
      yield Buffer.concat([header(entry, bytes.length), bytes, padding(bytes.length)]);
      return;
    }
    case 'copy': {
      yield header(entry, entry.size);
      let read = 0;
      for await (const bytes of createReadStream(entry.source, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
        read += bytes.length;
        yield bytes;
      }
      if (read !== entry.size) {
        throw new Error(`${entry.source} changed from ${entry.size} to ${read} bytes while it was archived`);
      }
      yield padding(entry.size);
      return;
    }
  }
}

class Output {
  readonly #file: FileHandle;
  position = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(bytes: Buffer): Promise<void> {
    await this.writeAt(this.position, bytes);
    this.position += bytes.length;
  }

  async writeAt(position: number, bytes: Buffer): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }
}
