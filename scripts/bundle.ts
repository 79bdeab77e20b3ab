import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { PROGRAMS } from './programs.ts';
import { ROOT } from './sources.ts';

/**
 * Makes one ECMAScript module per program in dist/, with source maps: all that the image contains besides Node.
 *
 * What a program loads only when it needs it, such as the Kubernetes client for exec and OIDC kubeconfigs, stays in chunks of its own, so that an
 * operator in a cluster neither reads nor keeps it. Equal sources give equal bytes. `--outdir`: somewhere else than dist/.
 */
const { values } = parseArgs({ options: { outdir: { type: 'string', default: join(ROOT, 'dist') } } });
const DIST = values.outdir;

const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const stale = (await readdir(DIST).catch(() => [])).filter((name) => /\.mjs(\.map)?$/.test(name));
await Promise.all(stale.map((name) => rm(join(DIST, name))));

const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: Object.fromEntries(PROGRAMS.map(({ name, entry }) => [name, entry])),
  outdir: DIST,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunk-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  sourcemap: 'linked',
  // Sources are in the repository: stack traces name file and line, and the image stays small.
  sourcesContent: false,
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  define: { 'process.env.MCP_FLEET_VERSION': JSON.stringify(version) },
  // Some dependencies are CommonJS and require Node's own modules.
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  metafile: true,
  logLevel: 'warning',
}).catch(() => {
  // esbuild has said what and where.
  process.exit(1);
});
for (const [path, { bytes, entryPoint }] of Object.entries(metafile.outputs)) {
  if (entryPoint !== undefined && PROGRAMS.some(({ entry }) => entry === entryPoint)) {
    process.stdout.write(`${path}  ${Math.round(bytes / 1024)} KiB\n`);
  }
}
