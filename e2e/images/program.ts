import { build } from 'esbuild';

/** One file with a program and everything that it imports, as an image takes it. `external`: what it finds at run time, or does without. */
export async function bundledProgram(entryPoint: string, external: readonly string[] = []): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [entryPoint],
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    write: false,
    external: [...external],
    // Some dependencies of the SDKs are CommonJS and require Node's own modules. A name that no program imports itself.
    banner: { js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);" },
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error(`esbuild wrote nothing for ${entryPoint}`);
  return file.contents;
}
