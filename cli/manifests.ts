import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { API_VERSION, guardNames } from '../api/group.ts';
import { type MCPServer, MCPServerSpec } from '../api/mcpserver.ts';
import type { MCPToolPolicy } from '../api/mcptoolpolicy.ts';
import { policySpec, PolicySpecError } from '../api/policyform.ts';
import { compileBundle } from '../compiler/bundle.ts';
import { isObject, MessageError, type Json, type JsonObject } from '../mcp/jsonrpc.ts';
import { Fault } from '../mcp/fault.ts';
import { toolInventory } from '../mcp/inventory.ts';
import type { Ambient, Pins } from '../mcp/policy/bundle.ts';
import { PinFileError, readPins } from '../mcp/policy/pinfile.ts';
import { listedInventory, parseToolList, toolListKey, toolListName, type ListedTool } from '../mcp/tool-list.ts';
import { CommandError, ExitCode } from './exit.ts';
import type { InForce } from './inforce.ts';

export interface ManifestOptions {
  /** Files and folders with YAML or JSON. */
  readonly files: readonly string[];
  /** A file with the tools of the server. */
  readonly inventory: string | undefined;
  /** Of manifests that name none. */
  readonly namespace: string;
  readonly server: string;
  readonly operatorNamespace: string;
  readonly ambient: Ambient;
  readonly now: number;
}

/** What the guards of a server would enforce if these manifests were applied: the operator's own compiler makes it. */
export async function fromManifests(options: ManifestOptions): Promise<InForce> {
  const { server: name, namespace, now } = options;
  const objects = (await Promise.all(options.files.map(manifestsOf))).flat().map((object) => inNamespace(object, namespace));
  const server = serverOf(objects, name);
  const own = (kind: string, called: string): JsonObject | undefined =>
    objects.find((object) => object['kind'] === kind && nameOf(object) === called && namespaceOf(object) === server.metadata.namespace);
  const tools =
    options.inventory === undefined ? toolList(own('ConfigMap', toolListName(name, 0))) : await inventoryFile(options.inventory);
  const pins = pinsOf(own('ConfigMap', guardNames(name).pins));
  const { bundle, digest, invalid, warnings, oversized } = compileBundle({
    server,
    policies: objects.filter(({ kind }) => kind === 'MCPToolPolicy').map(policyOf),
    operatorNamespace: options.operatorNamespace,
    clusterDomain: 'cluster.local',
    // Whatever the cluster's issuer is: here callers are named, not proven.
    clusterIssuer: 'https://kubernetes.default.svc',
    ambient: options.ambient,
    pins: pins ?? (tools && pinned(tools)),
    keys: { issuers: {} },
    replicas: 1,
    previous: undefined,
    known: tools === undefined ? {} : { tools },
    now,
  });
  const [problem] = invalid;
  if (problem !== undefined) {
    throw new CommandError(ExitCode.Usage, `MCPToolPolicy ${problem.namespace}/${problem.name}: ${problem.problem}`);
  }
  if (oversized !== undefined) throw new CommandError(ExitCode.Usage, oversized);
  if (!server.spec.guard.enabled) {
    throw new CommandError(ExitCode.NotReady, `the guard of ${name} is off (spec.guard.enabled: false): no policy would be enforced`);
  }
  return {
    bundle,
    digest,
    tools,
    notes: [
      ...(tools === undefined ? ['no inventory is given (--inventory): any tool is taken as one without hints'] : []),
      ...(tools !== undefined && pins === undefined
        ? [`no ConfigMap ${guardNames(name).pins} is given: all tools count as pinned as they are, as when the operator sees them first`]
        : []),
      ...[...warnings].flatMap(([policy, list]) => list.map((warning) => `${policy}: ${warning}`)),
    ],
  };
}

const bad = (message: string, cause?: unknown): CommandError => new CommandError(ExitCode.Usage, message, { cause });
const metadataOf = (object: JsonObject): JsonObject => (isObject(object['metadata']) ? object['metadata'] : {});
const named = (member: 'name' | 'namespace', object: JsonObject): string => {
  const value = metadataOf(object)[member];
  return typeof value === 'string' ? value : '';
};
const nameOf = (object: JsonObject): string => named('name', object);
const namespaceOf = (object: JsonObject): string => named('namespace', object);

const inNamespace = (object: JsonObject, namespace: string): JsonObject => ({
  ...object,
  metadata: { namespace, ...metadataOf(object) },
});

/** All objects of a file, or of the files of a folder; of a List its items. */
async function manifestsOf(path: string): Promise<readonly JsonObject[]> {
  const files = (await isFolder(path))
    ? (await readdir(path)).filter((file) => /\.(ya?ml|json)$/.test(file)).map((file) => join(path, file))
    : [path];
  const objects = await Promise.all(
    files.map(async (file) =>
      parseAllDocuments(await content(file)).map((document) => {
        const [error] = document.errors;
        if (error !== undefined) throw bad(`${file}: ${error.message}`, error);
        return document.toJS() as Json;
      }),
    ),
  );
  return objects.flat().flatMap((object) => (isObject(object) ? itemsOf(object) : []));
}

const itemsOf = (object: JsonObject): readonly JsonObject[] =>
  object['kind'] === 'List' && Array.isArray(object['items']) ? (object['items'] as readonly Json[]).filter(isObject) : [object];

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw bad(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

async function content(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw bad(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

/** Stands where the API server would have given one: a bundle without uid is none. */
const NOT_APPLIED = 'not-applied';

function serverOf(objects: readonly JsonObject[], name: string): MCPServer {
  const found = objects.find((object) => object['kind'] === 'MCPServer' && nameOf(object) === name);
  if (found === undefined) throw new CommandError(ExitCode.NotFound, `no MCPServer ${name} is in the files`);
  const spec = MCPServerSpec.safeParse(found['spec']);
  if (!spec.success) {
    const [issue] = spec.error.issues;
    throw bad(`MCPServer ${name}: spec.${(issue?.path ?? []).map(String).join('.')}: ${issue?.message ?? 'not readable'}`, spec.error);
  }
  return {
    apiVersion: API_VERSION,
    kind: 'MCPServer',
    metadata: { uid: NOT_APPLIED, ...metadataOf(found) },
    spec: spec.data,
  } as unknown as MCPServer;
}

/** As the API server stores it: with its defaults. */
function policyOf(object: JsonObject): MCPToolPolicy {
  try {
    return { ...object, metadata: { generation: 1, ...metadataOf(object) }, spec: policySpec(object['spec']) } as unknown as MCPToolPolicy;
  } catch (error) {
    if (!(error instanceof PolicySpecError)) throw error;
    throw bad(`MCPToolPolicy ${nameOf(object)}: ${error.message}`, error);
  }
}

const dataOf = (object: JsonObject): Readonly<Record<string, string>> =>
  isObject(object['data']) ? (object['data'] as Record<string, string>) : {};

function pinsOf(object: JsonObject | undefined): Pins | undefined {
  if (object === undefined) return undefined;
  try {
    return readPins(dataOf(object));
  } catch (error) {
    if (!(error instanceof PinFileError)) throw error;
    throw bad(`ConfigMap ${nameOf(object)}: ${error.message}`, error);
  }
}

const pinned = (tools: readonly ListedTool[]): Pins => ({ tools: Object.fromEntries(tools.map(({ name, digest }) => [name, [digest]])) });

function toolList(object: JsonObject | undefined): readonly ListedTool[] | undefined {
  const text = object === undefined ? undefined : dataOf(object)[toolListKey];
  return text === undefined ? undefined : parseToolList(text);
}

/** What `mcp-fleet tools SERVER -o json` prints, or the answer of a server to `tools/list`; YAML as well. */
async function inventoryFile(file: string): Promise<readonly ListedTool[]> {
  const value = parse(await content(file)) as Json;
  const tools = isObject(value) ? (isObject(value['result']) ? value['result']['tools'] : value['tools']) : value;
  if (!Array.isArray(tools)) throw bad(`${file}: neither what mcp-fleet tools -o json prints nor the result of tools/list`);
  const entries = tools as readonly Json[];
  try {
    if (entries.every((entry) => isObject(entry) && typeof entry['digest'] === 'string')) return listed(entries.filter(isObject));
    return listedInventory(toolInventory(entries)).tools;
  } catch (error) {
    if (!(error instanceof MessageError) && !(error instanceof Fault)) throw error;
    throw bad(`${file}: ${error.message}`, error);
  }
}

/** Hints lie in a member of their own in what the command prints. */
const listed = (entries: readonly JsonObject[]): readonly ListedTool[] =>
  parseToolList(JSON.stringify(entries.map((entry) => ({ ...entry, ...(isObject(entry['hints']) ? entry['hints'] : {}) }))));
