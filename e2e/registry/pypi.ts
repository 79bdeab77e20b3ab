import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../cache.ts';
import { interpreter } from '../images/python.ts';
import type { Served } from './npm.ts';

interface Wheel {
  readonly file: string;
  readonly path: string;
  readonly sha256: string;
}

/** A "simple" index (PEP 503) with the wheels of these requirements and of all that they depend on, for this machine's Python. */
export async function pypiIndex(address: string, requirements: readonly string[]): Promise<Served> {
  const folders = await Promise.all(requirements.map(download));
  const wheels = (await Promise.all(folders.map(wheelsIn))).flat();
  const server = createServer((request, response) => {
    serve(wheels, request, response).catch(() => response.destroy());
  });
  server.listen(0, address);
  await once(server, 'listening');
  server.unref();
  const bound = server.address();
  if (bound === null || typeof bound === 'string') {
    throw new TypeError(`no port on ${address}`);
  }
  return {
    url: `http://${address}:${bound.port}/simple/`,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Folder with the wheels, from the cache when this requirement was downloaded before. */
async function download(requirement: string): Promise<string> {
  const run = promisify(execFile);
  const python = await interpreter();
  const parent = cacheDirectory('registry', 'pypi');
  const folder = join(parent, createHash('sha256').update(`${requirement} ${python.exact} ${process.arch}`).digest('hex').slice(0, 16));
  const isThere = await access(folder).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    await mkdir(parent, { recursive: true });
    const unfinished = await mkdtemp(join(parent, '.unfinished-'));
    try {
      await run(python.executable, ['-m', 'pip', 'download', '--quiet', '--only-binary', ':all:', '--dest', unfinished, requirement]);
      await rename(unfinished, folder);
    } catch (cause) {
      await rm(unfinished, { recursive: true, force: true });
      throw new Error(`pip could not download ${requirement}`, { cause });
    }
  }
  return folder;
}

async function wheelsIn(folder: string): Promise<Wheel[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.whl'));
  return Promise.all(
    files.map(async (file) => {
      const path = join(folder, file);
      return {
        file,
        path,
        sha256: createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      };
    }),
  );
}

async function serve(wheels: readonly Wheel[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = decodeURIComponent(new URL(request.url ?? '/', 'http://index').pathname);
  const wheel = wheels.find(({ file }) => path === `/files/${file}`);
  if (wheel !== undefined) {
    const { size } = await stat(wheel.path);
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': size });
    createReadStream(wheel.path).pipe(response);
    return;
  }
  const [, project] = /^\/simple\/([^/]+)\/?$/.exec(path) ?? [];
  const found = wheels.filter(({ file }) => normalized(file.split('-')[0] ?? '') === normalized(project ?? ''));
  if (found.length === 0) {
    response.writeHead(404).end();
    return;
  }
  const links = found.map(({ file, sha256 }) => `<a href="/files/${encodeURIComponent(file)}#sha256=${sha256}">${file}</a>`);
  response
    .writeHead(200, { 'content-type': 'text/html' })
    .end(`<!doctype html><html><body>${[...new Set(links)].join('\n')}</body></html>`);
}

/** Names of projects are compared in this form (PEP 503). */
function normalized(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}
