import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { PROGRAMS } from './programs.ts';
import { ROOT } from './sources.ts';

/**
 * Makes one ECMAScript module and its source map per program in dist/: all that the image contains besides Node.
 *
 * Equal sources give equal bytes.
 */
const { values } = parseArgs({ options: { out: { type: 'string', default: join(ROOT, 'dist') } } });
const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };

for (const { name, entry } of PROGRAMS) {
  const outfile = join(values.out, `${name}.mjs`);
  await rm(outfile, { force: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
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
    logLevel: 'warning',
  });
  const { size } = await stat(outfile);
  process.stdout.write(`${outfile.replace(`${ROOT}/`, '')}  ${Math.round(size / 1024)} KiB\n`);
}
