import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copyOf, entriesOf, goArchitecture } from './archive.ts';
import { baseFiles, NONROOT } from './machine.ts';
import { NODE_CONFIG, nodeIngredients, nodeLayers } from './node.ts';
import { CONTENT, installedPackages } from './packages.ts';
import { bundledProgram } from './program.ts';
import { bake } from './recipe.ts';

export const EVERYTHING_IMAGE = 'mcp-fleet.dev/server-everything:1';
export const KUBERNETES_MCP_SERVER_IMAGE = 'mcp-fleet.dev/kubernetes-mcp-server:1';
/** References of the published images with the same layout, which the examples name. */
export const EVERYTHING_PUBLISHED = 'docker.io/mcp/everything:latest';
export const KUBERNETES_MCP_SERVER_PUBLISHED = 'quay.io/containers/kubernetes_mcp_server:v0.0.66';

export const FAULTY_IMAGE = 'mcp-fleet.dev/faulty:1';

const LOCK = join(CONTENT, 'package-lock.json');

/**
 * The MCP project's own test server over streamable HTTP, port 3001 (or `PORT`), path /mcp.
 *
 * Laid out like the published image `docker.io/mcp/everything`: `node dist/index.js` in /app, so that a manifest fits both.
 */
export async function everythingImage(name: string = EVERYTHING_IMAGE): Promise<string> {
  return bake({
    name,
    config: { ...NODE_CONFIG, Entrypoint: [], Cmd: ['node', 'dist/index.js', 'streamableHttp'], ExposedPorts: { '3001/tcp': {} } },
    ingredients: await nodeIngredients(),
    layers: async () => {
      const modules = await installedPackages(CONTENT);
      const own = join(modules, '@modelcontextprotocol/server-everything');
      const others =
        /^\/app\/node_modules\/(npm|kubernetes-mcp-server[^/]*|@modelcontextprotocol\/server-everything|\.bin|\.package-lock\.json)(\/|$)/;
      const dependencies = await entriesOf(modules, '/app/node_modules', (path) => !others.test(path));
      return [...(await nodeLayers()), [...dependencies, ...(await entriesOf(own, '/app'))]];
    },
  });
}

/**
 * The real kubernetes-mcp-server, the program published on npm.
 *
 * Laid out like `quay.io/containers/kubernetes_mcp_server`: the program is /app/kubernetes-mcp-server.
 */
export async function kubernetesMcpServerImage(name: string = KUBERNETES_MCP_SERVER_IMAGE): Promise<string> {
  return bake({
    name,
    config: { Entrypoint: ['/app/kubernetes-mcp-server'], User: `${NONROOT}:${NONROOT}`, WorkingDir: '/app' },
    ingredients: [await readFile(LOCK)],
    layers: async () => {
      const program = `kubernetes-mcp-server-linux-${goArchitecture()}`;
      const binary = join(await installedPackages(CONTENT), program, 'bin', program);
      return [await baseFiles(), [await copyOf(binary, '/app/kubernetes-mcp-server', 0o755)]];
    },
  });
}

/** The server of `e2e/images/faulty/`, which fails as its arguments tell it; the entry point takes them directly. */
export async function faultyImage(name: string = FAULTY_IMAGE): Promise<string> {
  return programImage(name, join(import.meta.dirname, 'faulty/main.ts'));
}

export const CONFORMANCE_SERVER_IMAGE = 'mcp-fleet.dev/conformance-server:1';

/** The servers of the official SDKs that the conformance suite is run against; the entry point takes the name of one. */
export async function conformanceServerImage(name: string = CONFORMANCE_SERVER_IMAGE): Promise<string> {
  return programImage(name, join(import.meta.dirname, 'conformance/main.ts'));
}

/** A Node runtime and one program of this repository, which is the entry point. */
async function programImage(name: string, entryPoint: string): Promise<string> {
  const program = await bundledProgram(entryPoint);
  return bake({
    name,
    config: { ...NODE_CONFIG, Entrypoint: ['node', '/app/main.mjs'], ExposedPorts: { '8080/tcp': {}, '9090/tcp': {} } },
    ingredients: [...(await nodeIngredients()), createHash('sha256').update(program).digest('hex')],
    layers: async () => [...(await nodeLayers()), [{ kind: 'file', path: '/app/main.mjs', content: program }]],
  });
}
