import { readFile, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { startCluster, type Cluster } from '../e2e/cluster/cluster.ts';
import { toolInventory } from '../mcp/inventory.ts';
import { echo, legacyServer, manyTools, modernServer } from '../mcp/testing/sdk-servers.ts';
import type { MCPServer } from '../api/mcpserver.ts';
import type { MCPToolPolicy } from '../api/mcptoolpolicy.ts';
import { compileBundle } from '../compiler/bundle.ts';
import { writePins } from '../mcp/policy/pinfile.ts';
import { listedInventory, toolListParts } from '../mcp/tool-list.ts';
import { access, type Access } from './access.ts';
import { run } from './program.ts';
import { capture } from './testing/capture.ts';

// The proxy of an API server does not go to loopback: it needs an address of this machine in between.
const address = Object.values(networkInterfaces())
  .flat()
  .find((entry) => entry?.family === 'IPv4' && !entry.internal)?.address;

let cluster: Cluster;
let admin: Access;

beforeAll(async () => {
  cluster = await startCluster({ controlPlaneOnly: true });
  admin = await access({ kubeconfig: cluster.kubeconfigPath });
  await create(parse(await readFile('crds/mcp-fleet.dev_mcpservers.yaml', 'utf8')) as Created);
  await create(parse(await readFile('crds/mcp-fleet.dev_mcptoolpolicies.yaml', 'utf8')) as Created);
  await create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'agents' } });
  await create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'agents' } });
  await vi.waitFor(() => sent('GET', '/apis/mcp-fleet.dev/v1alpha1/mcpservers'), { timeout: 10_000 });
  await vi.waitFor(() => sent('GET', '/apis/mcp-fleet.dev/v1alpha1/mcptoolpolicies'), { timeout: 10_000 });
});
afterAll(async () => {
  await admin[Symbol.asyncDispose]();
  await cluster.stop();
});

interface Created {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid?: string; readonly [member: string]: unknown };
  readonly [member: string]: unknown;
}

/** One request of an administrator. */
async function sent(method: 'GET' | 'POST' | 'PATCH', path: string, content?: object): Promise<Created> {
  const headers = { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' };
  const body = content === undefined ? {} : { body: JSON.stringify(content) };
  const response = await admin.send({ method, url: new URL(path, admin.server), headers, ...body, signal: AbortSignal.timeout(10_000) });
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  if (response.status >= 300) throw new Error(text);
  return JSON.parse(text) as Created;
}

function create(object: Created): Promise<Created> {
  const { apiVersion, kind, metadata } = object;
  const plural = { Endpoints: 'endpoints', MCPToolPolicy: 'mcptoolpolicies' }[kind] ?? `${kind.toLowerCase()}s`;
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return sent('POST', `${root}${metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`}/${plural}`, object);
}

/** Runs one command line as a user would, in namespace agents. */
async function fleet(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { environment, out, err } = capture({ now: '2026-11-20T12:00:00Z' });
  const code = await run(environment, 'mcp-fleet', 'test', [...argv, '-n', 'agents', '--kubeconfig', cluster.kubeconfigPath]);
  return { code, out: out(), err: err() };
}

interface ServerOptions {
  readonly ready?: 'True' | 'False';
  readonly reason?: string;
  readonly message?: string;
  readonly readyReplicas?: number;
  readonly spec?: object;
}

async function mcpServer(
  name: string,
  { ready = 'True', reason = 'Ready', message = '', readyReplicas = 1, spec = {} }: ServerOptions = {},
): Promise<string> {
  const condition = (type: string, status: string, why: string, words: string) => ({
    type,
    status,
    reason: why,
    message: words,
    lastTransitionTime: '2026-11-20T11:00:00Z',
    observedGeneration: 1,
  });
  const server = await create({
    apiVersion: 'mcp-fleet.dev/v1alpha1',
    kind: 'MCPServer',
    metadata: { name, namespace: 'agents' },
    spec: { container: { image: 'example.com/echo:1' }, ...spec },
  });
  const status = {
    observedGeneration: 1,
    conditions: [
      condition('Ready', ready, reason, message),
      condition('Available', ready, ready === 'True' ? 'Available' : reason, message),
    ],
    address: { url: `http://${name}.agents.svc.cluster.local/mcp` },
    replicas: 1,
    readyReplicas,
    server: { name: 'legacy', version: '1.0.0', protocolVersions: ['2025-11-25'], era: 'Legacy', capabilities: ['tools'] },
    tools: { total: 2, readOnly: 1, destructive: 1, unannotated: 1, digest: 'sha256:x' },
  };
  await sent('PATCH', `/apis/mcp-fleet.dev/v1alpha1/namespaces/agents/mcpservers/${name}/status`, { status });
  return server.metadata.uid ?? '';
}

const labels = (server: string) => ({ 'mcp-fleet.dev/server': server });
const ownedBy = (apiVersion: string, kind: string, name: string, uid: string) => [{ apiVersion, kind, name, uid, controller: true }];

/** A Service with one endpoint, as the API server's proxy wants it: an address that is a pod's. */
async function service(name: string, to: URL): Promise<void> {
  const metadata = { name, namespace: 'agents', labels: labels(name) };
  await create({ apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ name: 'mcp', port: 80 }] } });
  await create({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...template(name).spec, automountServiceAccountToken: false } });
  const status = { podIP: to.hostname, podIPs: [{ ip: to.hostname }], conditions: [{ type: 'Ready', status: 'True' }] };
  await sent('PATCH', `/api/v1/namespaces/agents/pods/${name}/status`, { status });
  const addresses = [{ ip: to.hostname, targetRef: { kind: 'Pod', name, namespace: 'agents' } }];
  await create({
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata,
    subsets: [{ addresses, ports: [{ name: 'mcp', port: Number(to.port) }] }],
  });
}

const template = (name: string) => ({
  metadata: { labels: labels(name) },
  spec: { containers: [{ name: 'server', image: 'example.com/echo:1' }] },
});

describe('tree', () => {
  test('shows what belongs to a server, below its owners, and why it is not Ready', async () => {
    const uid = await mcpServer('broken', {
      ready: 'False',
      reason: 'CrashLooping',
      message: 'exit 1: API_KEY is not set',
      readyReplicas: 0,
    });
    const owner = ownedBy('mcp-fleet.dev/v1alpha1', 'MCPServer', 'broken', uid);
    const spec = { replicas: 1, selector: { matchLabels: labels('broken') }, template: template('broken') };
    const meta = { namespace: 'agents', labels: labels('broken') };
    const deployment = await create({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...meta, name: 'broken', ownerReferences: owner },
      spec,
    });
    const set = { ...meta, name: 'broken-7f', ownerReferences: ownedBy('apps/v1', 'Deployment', 'broken', deployment.metadata.uid ?? '') };
    const replicaSet = await create({ apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: set, spec });
    const pod = {
      ...meta,
      name: 'broken-7f-x',
      ownerReferences: ownedBy('apps/v1', 'ReplicaSet', 'broken-7f', replicaSet.metadata.uid ?? ''),
    };
    await create({ apiVersion: 'v1', kind: 'Pod', metadata: pod, spec: template('broken').spec });
    await create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { ...meta, name: 'broken-guard', ownerReferences: owner },
      stringData: { key: 'x' },
    });

    const { code, out, err } = await fleet('tree', 'broken');
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out.split('\n').map((line) => line.replace(/ {2,}/g, '  ').replace(/ {2}\S+$/, ''))).toEqual([
      'OBJECT  READY  STATE',
      'MCPServer/broken  False  CrashLooping',
      '├─ Deployment/broken  False  0 of 1 pods ready, rolling out',
      '│  └─ ReplicaSet/broken-7f  False  0 of 1 pods ready',
      '│  └─ Pod/broken-7f-x  False  Pending',
      '└─ Secret/broken-guard',
      '',
      'broken is not Ready (CrashLooping): exit 1: API_KEY is not set',
      '→ Read the end of the log: mcp-fleet logs broken --previous. Often a variable, a writable directory or a command is missing.',
      '',
    ]);
    expect((await fleet('tree', 'broken', '-o', 'name')).out).toBe(
      'mcpserver/broken\ndeployment/broken\nreplicaset/broken-7f\npod/broken-7f-x\nsecret/broken-guard\n',
    );
    expect(JSON.parse((await fleet('tree', 'broken', '-o', 'json')).out)).toMatchObject({
      kind: 'MCPServer',
      children: [{ kind: 'Deployment' }, { kind: 'Secret' }],
    });
    expect((await fleet('tree', 'broken', '-o', 'json')).out).not.toContain('stringData');
  });

  test('shows all servers of the cluster', async () => {
    await mcpServer('alpha');
    const { environment, out } = capture({});
    expect(await run(environment, 'mcp-fleet', 'test', ['tree', '-A', '--kubeconfig', cluster.kubeconfigPath])).toBe(0);
    expect(out()).toMatch(/^NAMESPACE +OBJECT/);
    expect(out()).toMatch(/agents +MCPServer\/alpha +True +Ready, 2 tools/);
  });
});

describe('status', () => {
  test('shows conditions, and what to do', async () => {
    await mcpServer('dead', { ready: 'False', reason: 'ImagePullFailed', message: 'manifest unknown', readyReplicas: 0 });
    const { code, out } = await fleet('status', 'dead');
    expect(code).toBe(0);
    expect(out).toContain('dead in namespace agents: not Ready (ImagePullFailed)\n');
    expect(out).toContain('Server   legacy 1.0.0, MCP 2025-11-25 (Legacy)\n');
    expect(out).toMatch(/Available +False +ImagePullFailed +60m +manifest unknown/);
    expect(out).toContain('ImagePullFailed: Correct the image name or tag');
    expect(JSON.parse((await fleet('status', 'dead', '-o', 'json')).out)).toMatchObject({
      ready: 'False',
      reason: 'ImagePullFailed',
      advice: expect.any(String),
    });
  });

  test('shows a line for each server', async () => {
    expect((await fleet('status')).out).toMatch(/dead +False +ImagePullFailed +2 +0\/1/);
  });
});

describe('tools', () => {
  test('lists what the operator saw', async () => {
    await mcpServer('listed', { spec: { guard: { enabled: false } } });
    expect(await fleet('tools', 'listed')).toMatchObject({ code: 4, err: expect.stringContaining('the tools of listed are not known') });
    const [part] = toolListParts(toolInventory([echo, ...manyTools(1)] as never).tools);
    await create({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'listed-tools', namespace: 'agents' },
      data: { 'tools.json': part },
    });
    const { out } = await fleet('tools', 'listed');
    expect(out).toMatch(/echo +ReadOnly +read-only +Echo +[0-9a-f]{12}\n/);
    expect(out).toMatch(/tool-0 +Destructive +none +/);
    expect((await fleet('tools', 'listed', '-o', 'name')).out).toBe('echo\ntool-0\n');
  });
});

/** A guarded server whose tools the operator has seen, with the bundle that it compiled of these policies. */
async function guarded(name: string, definitions: readonly object[], policies: readonly MCPToolPolicy[] = []): Promise<void> {
  await mcpServer(name, { spec: { guard: { enabled: true } } });
  const server = (await sent('GET', `/apis/mcp-fleet.dev/v1alpha1/namespaces/agents/mcpservers/${name}`)) as unknown as MCPServer;
  const { tools } = listedInventory(toolInventory(definitions as never));
  const [part = ''] = toolListParts(tools);
  const { files } = compileBundle({
    server,
    policies,
    operatorNamespace: 'mcp-fleet-system',
    clusterDomain: 'cluster.local',
    clusterIssuer: undefined,
    ambient: 'Allow',
    pins: { tools: Object.fromEntries(tools.map((tool) => [tool.name, [tool.digest]])) },
    keys: { issuers: {} },
    replicas: 1,
    previous: undefined,
    known: {},
    now: 0,
  });
  const map = (suffix: string, data: object) =>
    create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `${name}-${suffix}`, namespace: 'agents' }, data });
  await map('tools', { 'tools.json': part });
  await map('policy', files);
}

const definition = (name: string, annotations?: object): object => ({
  name,
  inputSchema: { type: 'object' },
  ...(annotations && { annotations }),
});
const definitions = [
  definition('search', { readOnlyHint: true, title: 'Search: # all' }),
  definition('close', { destructiveHint: false }),
  definition('silent'),
  definition('yes', { readOnlyHint: true }),
];

describe('policy init', () => {
  test.each(['ReadOnly', 'NonDestructive', 'Destructive'] as const)(
    'makes a policy up to %s that the API server takes and that says so',
    async (most) => {
      const name = `draft-${most.toLowerCase()}`;
      await guarded(name, definitions);
      const { code, out, err } = await fleet('policy', 'init', name, '--class', most);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      const draft = parse(out) as Created;
      const stored = (await create(draft)) as unknown as MCPToolPolicy;
      expect(stored.spec).toMatchObject({ targetRefs: [{ name }], defaultAction: 'Deny', mode: 'Enforce', access: { maximumClass: most } });
      const enforced = `${name}-enforced`;
      await guarded(enforced, definitions, [
        { ...stored, spec: { ...stored.spec, targetRefs: [{ ...stored.spec.targetRefs?.[0], name: enforced }] } } as MCPToolPolicy,
      ]);
      const answers = JSON.parse((await fleet('explain', enforced, '-o', 'json')).out) as { answer: string }[];
      const expected = {
        ReadOnly: ['allowed', 'refused', 'refused', 'allowed'],
        NonDestructive: ['allowed', 'allowed', 'refused', 'allowed'],
        Destructive: ['allowed', 'allowed', 'allowed', 'allowed'],
      };
      expect(answers.map(({ answer }) => answer)).toEqual(expected[most]);
      expect(await fleet('explain', enforced, '--prompt', 'any')).toMatchObject({ code: 0 });
      expect(await fleet('explain', enforced, '--tool', 'silent')).toMatchObject({ code: most === 'Destructive' ? 0 : 8 });
    },
  );

  test('in audit, and with more tools than a rule has room for', async () => {
    await guarded(
      'many',
      Array.from({ length: 150 }, (_, number) => definition(`tool-${number}`, { readOnlyHint: number % 2 === 0 })),
    );
    const { out } = await fleet('policy', 'init', 'many', '--mode', 'Audit', '--class', 'Destructive');
    const { spec } = (await create(parse(out) as Created)) as unknown as MCPToolPolicy;
    expect(spec.mode).toBe('Audit');
    expect(spec.rules?.map(({ name, tools = [] }) => [name, tools.length])).toEqual([
      ['tools', 64],
      ['tools-2', 64],
      ['tools-3', 22],
      ['prompts-and-resources', 0],
    ]);
  });
});

describe('tools approve', () => {
  const first = (tools: readonly object[]) => writePins(toolInventory(tools as never).tools);
  const pinsOf = async (name: string) =>
    (await sent('GET', `/api/v1/namespaces/agents/configmaps/${name}-pins`)) as unknown as {
      data: Record<string, string>;
      metadata: { managedFields: { manager: string }[] };
    };

  test('trusts what changed in a key of its own, once it is told to', async () => {
    await guarded('changed', definitions);
    const [, ...others] = definitions;
    const data = { 'first.json': first([definition('search', { readOnlyHint: false }), ...others.slice(0, 2)]) };
    await create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'changed-pins', namespace: 'agents' }, data });
    const { out } = await fleet('tools', 'changed');
    expect(out).toMatch(/^search +ReadOnly +read-only +changed/m);
    expect(out).toMatch(/^close +NonDestructive +not destructive +match/m);
    expect(out).toMatch(/^yes +ReadOnly +read-only +unpinned/m);
    expect(out).toContain('2 of them not trusted as they are');

    const shown = await fleet('tools', 'approve', 'changed');
    expect(shown.out).toMatch(/^search +changed +[0-9a-f]{12} +[0-9a-f]{12} +ReadOnly/m);
    expect(shown.out).toContain('Nothing is approved yet');
    const dry = await fleet('tools', 'approve', 'changed', '--all', '--dry-run', '-o', 'yaml');
    expect(parse(dry.out)).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'changed-pins', namespace: 'agents' } });
    expect(Object.keys((await pinsOf('changed')).data)).toEqual(['first.json']);

    expect(await fleet('tools', 'approve', 'changed', 'search')).toMatchObject({ code: 0, err: '' });
    const after = await pinsOf('changed');
    expect(after.data['first.json']).toBe(data['first.json']);
    expect(Object.keys(JSON.parse(after.data['approved.json'] ?? '') as object)).toEqual(['search']);
    expect(after.metadata.managedFields.map(({ manager }) => manager)).toContain('mcp-fleet-cli-pins');

    expect(await fleet('tools', 'approve', 'changed', '--all')).toMatchObject({ code: 0 });
    expect(Object.keys(JSON.parse((await pinsOf('changed')).data['approved.json'] ?? '') as object)).toEqual(['search', 'yes']);
    expect((await fleet('tools', 'approve', 'changed', '--all')).out).toBe('Nothing to approve: what changed lists is trusted as it is.\n');
  });

  test('makes the ConfigMap where there is none', async () => {
    await guarded('unpinned', definitions);
    expect((await fleet('tools', 'unpinned')).out).toMatch(/^search +ReadOnly +read-only +missing/m);
    expect(await fleet('tools', 'approve', 'unpinned', '--all')).toMatchObject({ code: 0, err: '' });
    expect((await fleet('tools', 'unpinned')).out).not.toContain('not trusted');
  });

  test('leaves alone what Git wrote, and says how to go on', async () => {
    await guarded('git', definitions);
    const map = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'git-pins', namespace: 'agents' },
      data: { 'approved.json': first(definitions.slice(1)) },
    };
    await create(map);
    const refused = await fleet('tools', 'approve', 'git', 'search');
    expect(refused).toMatchObject({ code: 6, err: expect.stringContaining('data key approved.json belongs to somebody else') });
    expect((await pinsOf('git')).data).toEqual(map.data);
    expect(await fleet('tools', 'approve', 'git', 'search', '--key', 'mine.json')).toMatchObject({ code: 0 });
    expect(Object.keys((await pinsOf('git')).data).toSorted()).toEqual(['approved.json', 'mine.json']);
    expect(await fleet('tools', 'approve', 'git', '--all', '--force-conflicts')).toMatchObject({ code: 0 });
  });

  test.each([
    ['a tool that is not listed', ['git', 'sell'], 3, 'git lists no tool sell'],
    ['the key of the operator', ['git', '--all', '--key', 'first.json'], 2, "first.json is the operator's"],
  ])('refuses %s', async (_, argv, code, words) => {
    expect(await fleet('tools', 'approve', ...argv)).toMatchObject({ code, err: expect.stringContaining(words) });
  });

  test('names what other writers must remove first', async () => {
    await guarded('full', definitions);
    const digests = ['a', 'b', 'c', 'd'].map((digit) => `sha256:${digit.repeat(64)}`);
    const data = { 'git.json': JSON.stringify({ search: digests }) };
    await create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'full-pins', namespace: 'agents' }, data });
    expect(await fleet('tools', 'approve', 'full', 'search')).toMatchObject({
      code: 1,
      err: expect.stringContaining('trust 4 definitions of search already'),
    });
  });
});

describe('explain', () => {
  test('reads what is in force, and says what is not', async () => {
    await guarded('held', definitions);
    expect(await fleet('explain', 'held', '--tool', 'search')).toMatchObject({
      code: 0,
      out: expect.stringContaining('No policy is enforced here'),
    });
    await sent('PATCH', '/apis/mcp-fleet.dev/v1alpha1/namespaces/agents/mcpservers/held/status', {
      status: { guards: { total: 3, current: 1 } },
    });
    expect((await fleet('explain', 'held', '--tool', 'search')).out).toContain('2 of 3 guards are behind');
    await mcpServer('bare', { spec: { guard: { enabled: false } } });
    expect(await fleet('explain', 'bare')).toMatchObject({ code: 4, err: expect.stringContaining('no policy is enforced') });
    expect(await fleet('explain', '--request', 'nothing')).toMatchObject({
      code: 3,
      err: expect.stringContaining('no guard of namespace agents'),
    });
  });
});

describe.runIf(address !== undefined)('call', () => {
  test('reaches a legacy server through the API server, with arguments as its schema wants them', async () => {
    const tool = {
      ...echo,
      name: 'add',
      inputSchema: { type: 'object' as const, properties: { a: { type: 'number' }, b: { type: 'string' } } },
    };
    await using server = await legacyServer({ tools: [tool], ...(address === undefined ? {} : { address }) });
    await mcpServer('adder');
    await service('adder', server.url);
    expect(await fleet('call', 'adder', 'add', 'a=1', 'b=2')).toMatchObject({ code: 0, out: 'add {"a":1,"b":"2"}\n', err: '' });
    expect(await fleet('call', 'adder', 'add', '--json', '{"a":[1]}')).toMatchObject({ code: 0, out: 'add {"a":[1]}\n' });
    expect(await fleet('call', 'adder', 'add', 'a=x')).toMatchObject({ code: 2, err: expect.stringContaining('must be JSON') });
    expect(await fleet('call', 'adder', 'broken')).toMatchObject({ code: 5, out: '', err: 'mcp-fleet: out of order\n' });
    expect(JSON.parse((await fleet('call', 'adder', 'broken', '-o', 'json')).out)).toMatchObject({ isError: true });
    expect(server.sessions.size).toBe(0);
    expect(server.opened.length).toBeGreaterThan(3);
  });

  test('reaches a modern server, and says who refused', async () => {
    await using server = await modernServer({ only: true, ...(address === undefined ? {} : { address }) });
    await mcpServer('modern');
    await service('modern', server.url);
    expect(await fleet('call', 'modern', 'regional', 'region=eu')).toMatchObject({ code: 0, out: 'region {"region":"eu"}\n' });
    expect(await fleet('call', 'modern', 'nothing')).toMatchObject({ code: 6, err: expect.stringContaining('modern refused nothing') });
  });

  test('stays with one pod where several would answer', async () => {
    await using server = await legacyServer(address === undefined ? {} : { address });
    await mcpServer('twin', { readyReplicas: 2, spec: { transport: { port: Number(server.url.port) } } });
    await service('twin', server.url);
    expect(await fleet('call', 'twin', 'echo', 'text=hi')).toMatchObject({ code: 0, out: 'echo {"text":"hi"}\n' });
  });

  test('says that nobody listens', async () => {
    await mcpServer('closed');
    await service('closed', new URL(`http://${address}:9/mcp`));
    expect(await fleet('call', 'closed', 'echo')).toMatchObject({ code: 7, err: expect.stringContaining('ConnectionRefused') });
  });

  test('does not try where no pod is ready', async () => {
    expect(await fleet('call', 'dead', 'echo')).toMatchObject({
      code: 4,
      err: 'mcp-fleet: dead has no ready pod (ImagePullFailed): manifest unknown\n',
    });
  });
});

describe('restart', () => {
  test('asks the Deployment for new pods as kubectl does', async () => {
    expect(await fleet('restart', 'broken')).toMatchObject({ code: 0, out: expect.stringContaining('broken restarts') });
    const deployment = await sent('GET', '/apis/apps/v1/namespaces/agents/deployments/broken');
    expect(deployment).toMatchObject({
      spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-11-20T12:00:00.000Z' } } } },
    });
    expect(await fleet('restart', 'alpha')).toMatchObject({ code: 4 });
  });
});

describe('who asks', () => {
  test('a server that does not exist', async () => {
    for (const command of [
      ['tree', 'nobody'],
      ['status', 'nobody'],
      ['tools', 'nobody'],
      ['call', 'nobody', 'x'],
      ['logs', 'nobody'],
      ['restart', 'nobody'],
    ]) {
      expect(await fleet(...command)).toMatchObject({ code: 3, err: 'mcp-fleet: there is no MCPServer nobody in namespace agents\n' });
    }
  });

  test('a server without pods has no logs', async () => {
    expect(await fleet('logs', 'alpha')).toMatchObject({ code: 4, err: expect.stringContaining('has no pods') });
  });

  test('somebody without rights is refused with the words of the cluster', async () => {
    const config = parse(await readFile(cluster.kubeconfigPath, 'utf8')) as { users: { user: object }[] };
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const { status } = await sent('POST', '/api/v1/namespaces/agents/serviceaccounts/default/token', request);
    const { token } = status as { token: string };
    const file = join(cluster.folder, 'nobody.yaml');
    await writeFile(file, JSON.stringify({ ...config, users: config.users.map((user) => ({ ...user, user: { token } })) }));
    const { environment, err } = capture({});
    expect(await run(environment, 'mcp-fleet', 'test', ['status', '-n', 'agents', '--kubeconfig', file])).toBe(6);
    expect(err()).toContain('mcpservers.mcp-fleet.dev is forbidden');
  });

  test('a cluster that is not there', async () => {
    const file = join(cluster.folder, 'gone.yaml');
    const text = await readFile(cluster.kubeconfigPath, 'utf8');
    await writeFile(file, text.replaceAll(cluster.apiServerUrl, 'https://127.0.0.1:1'));
    const { environment, err } = capture({});
    expect(await run(environment, 'mcp-fleet', 'test', ['status', '--kubeconfig', file])).toBe(7);
    expect(err()).toContain('the API server https://127.0.0.1:1 cannot be reached');
  });
});
