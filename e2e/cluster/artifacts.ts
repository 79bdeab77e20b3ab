import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { callApi } from './api-server.ts';
import type { ApiAccess } from './api-server.ts';

/** What explains most failures, by the name of the file it is written to. */
const LISTS = {
  'pods.json': '/api/v1/pods',
  'events.json': '/apis/events.k8s.io/v1/events',
  'nodes.json': '/api/v1/nodes',
  'deployments.json': '/apis/apps/v1/deployments',
} as const;

/** Copies the logs of all components and pods of a cluster, and what the API server knows of them, to `target`. Never throws: it runs when something failed already. */
export async function saveArtifacts(folder: string, access: ApiAccess, target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const [source, name] of [
    [join(folder, 'logs'), 'components'],
    [join(folder, 'node', 'pods'), 'pods'],
    [join(folder, 'witness'), 'witness'],
  ] as const) {
    // What an earlier run left would be taken for this one's.
    await rm(join(target, name), { recursive: true, force: true }).catch(() => undefined);
    if (existsSync(source)) {
      await cp(source, join(target, name), { recursive: true, force: true }).catch(() => undefined);
    }
  }
  for (const [name, path] of Object.entries(LISTS)) {
    const { body } = await callApi(access, 'GET', path).catch((error: unknown) => ({ body: String(error) }));
    await writeFile(join(target, name), body).catch(() => undefined);
  }
}
