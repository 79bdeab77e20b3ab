import { readFile } from 'node:fs/promises';
import { binaries } from '../cluster/binaries.ts';
import { copyOf } from './archive.ts';
import { NONROOT } from './machine.ts';
import { bake } from './recipe.ts';

export const SILENT_IMAGE = 'mcp-fleet.dev/silent:1';

/** A server that accepts connections on port 8080 and never answers, in about 1 MiB: dead servers by the dozen. */
export async function silentImage(name: string = SILENT_IMAGE): Promise<string> {
  const { silent } = await binaries(['silent'], () => undefined);
  return bake({
    name,
    config: { Entrypoint: ['/silent'], User: `${NONROOT}:${NONROOT}`, ExposedPorts: { '8080/tcp': {} } },
    ingredients: [await readFile(silent)],
    layers: async () => [[await copyOf(silent, '/silent', 0o755)]],
  });
}
