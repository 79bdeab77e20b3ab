import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { MCPServer, MCPServerSpecInput } from '../../api/mcpserver.ts';
import { run } from '../../cli/program.ts';
import { capture } from '../../cli/testing/capture.ts';
import { parseToolList } from '../../mcp/tool-list.ts';
import { ConfigMaps, Deployments, Events, Services } from '../../operator/kube/resources.ts';
import { ROOT } from '../../scripts/sources.ts';
import { faulty, Fleet, MCPServers, UNGUARDED } from '../fleet.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { expectRestricted } from '../restricted.ts';

let fleet: Fleet;
let kubectl: Kubectl;

beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});

afterAll(() => fleet[Symbol.asyncDispose]());

const text = (content: unknown): string => (content as readonly { readonly text?: string }[]).map((part) => part.text ?? '').join('');

/** A tool call by each official client and by our own command line: all three must get the same. */
async function callEveryWay(
  namespace: string,
  server: string,
  tool: string,
  args: Readonly<Record<string, string | number>>,
): Promise<string[]> {
  const url = await fleet.url(namespace, server);
  const second = new Client({ name: 'v2', version: '2' }, { versionNegotiation: { mode: 'auto' } });
  await second.connect(new StreamableHTTPClientTransport(url));
  const bySecond = await second.callTool({ name: tool, arguments: { ...args } });
  await second.close();
  const { environment, out, err } = capture({});
  const typed = Object.entries(args).map(([key, value]) => `${key}=${value}`);
  const code = await run(environment, 'mcp-fleet', 'test', [
    'call',
    server,
    tool,
    ...typed,
    '-n',
    namespace,
    '--kubeconfig',
    inject('kubeconfig'),
  ]);
  expect(err()).toBe('');
  expect(code).toBe(0);
  return [text(bySecond.content), out().trim()];
}

/** The first generation of clients, which cannot speak the modern era. */
async function callAsOfOld(
  namespace: string,
  server: string,
  tool: string,
  args: Readonly<Record<string, string | number>>,
): Promise<string> {
  const first = new LegacyClient({ name: 'v1', version: '1' });
  await first.connect(new LegacyTransport(await fleet.url(namespace, server)));
  const { content } = await first.callTool({ name: tool, arguments: { ...args } });
  await first.close();
  return text(content);
}

/** The inventory in the ConfigMap, which must agree with the summary in the status. */
async function inventory(namespace: string, { status, metadata }: MCPServer) {
  const name = status?.tools?.inventory ?? '';
  expect(name).toBe(`${metadata.name}-tools`);
  const { data, metadata: owned } = await fleet.client.get(ConfigMaps, { namespace, name });
  const tools = parseToolList(data?.['tools.json'] ?? '');
  expect(tools.length).toBe(status?.tools?.total);
  expect(status?.tools?.names).toEqual(tools.slice(0, 50).map((tool) => tool.name));
  expect(status?.tools?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  for (const { digest } of tools) expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(owned.ownerReferences?.[0]).toMatchObject({ kind: 'MCPServer', name: metadata.name, controller: true });
  return tools;
}

describe('a container', () => {
  test.concurrent.for([
    ['Legacy', ['--era', 'Legacy', '--sessions'], ['2025-11-25']],
    ['Modern', ['--era', 'Modern'], ['2026-07-28']],
    ['Both', ['--era', 'Both'], ['2026-07-28']],
  ] as const)('of era %s is verified, listed and called', async ([era, args, versions]) => {
    const namespace = await fleet.namespace();
    await fleet.apply(namespace, 'server', faulty(args));
    const server = await fleet.ready(namespace, 'server');
    expect(server.status?.server).toMatchObject({ name: 'faulty', version: '1.0.0', era: era === 'Legacy' ? 'Legacy' : 'Modern' });
    expect(server.status?.server?.protocolVersions).toEqual(expect.arrayContaining([...versions]));
    expect(server.status?.server?.capabilities).toContain('tools');
    expect(server.status?.address?.url).toBe(`http://server.${namespace}.svc.cluster.local/mcp`);
    const tools = await inventory(namespace, server);
    expect(server.status?.tools).toMatchObject({ total: 8, readOnly: 6, destructive: 2 });
    expect(tools.find(({ name }) => name === 'echo')?.hints.readOnly).toBe(true);

    expect(await callEveryWay(namespace, 'server', 'echo', { message: 'hello' })).toEqual(['hello', 'hello']);
    if (era !== 'Modern') expect(await callAsOfOld(namespace, 'server', 'echo', { message: 'hello' })).toBe('hello');
  });

  test.concurrent('with more tools than one page or one status holds is listed completely', async () => {
    const namespace = await fleet.namespace();
    await fleet.apply(namespace, 'large', faulty(['--tools', '1200', '--page-size', '100'], { verification: { interval: '10s' } }));
    const server = await fleet.ready(namespace, 'large');
    expect((await inventory(namespace, server)).map(({ name }) => name)).toContain('tool_1200');
    expect(server.status?.tools?.names?.length).toBe(50);
  });

  test.concurrent('without a guard is verified by the operator, and called as itself', async () => {
    const namespace = await fleet.namespace();
    await fleet.apply(namespace, 'bare', faulty([], UNGUARDED));
    const server = await fleet.ready(namespace, 'bare');
    await inventory(namespace, server);
    expect(server.status?.guards).toBeUndefined();
    const [pod] = await fleet.pods(namespace, 'bare');
    expect(pod?.spec?.initContainers).toBeUndefined();
    expect(await callEveryWay(namespace, 'bare', 'echo', { message: 'hello' })).toEqual(['hello', 'hello']);
  });
});

describe('a package', () => {
  const packages: Readonly<Record<string, readonly [spec: MCPServerSpecInput, tools: number]>> = {
    'of npm': [
      {
        package: { npm: { name: '@modelcontextprotocol/server-everything', version: '2026.7.4' }, args: ['streamableHttp'] },
        env: [{ name: 'PORT', value: '8080' }],
      },
      13,
    ],
    'of PyPI': [
      {
        package: {
          pypi: { name: 'duckduckgo-mcp-server', version: '0.7.0' },
          args: ['--transport', 'streamable-http', '--host', '0.0.0.0', '--port', '8080'],
        },
      },
      1,
    ],
  };
  test.concurrent.for(Object.entries(packages))(
    '%s is installed, verified and listed',
    { timeout: 300_000 },
    async ([what, [spec, tools]]) => {
      const namespace = await fleet.namespace();
      await fleet.apply(namespace, 'server', spec);
      const server = await fleet.ready(namespace, 'server', 240);
      expect((await inventory(namespace, server)).length).toBeGreaterThanOrEqual(tools);
      await expectRestricted(fleet, kubectl, namespace, 'server');
      if (what === 'of npm') {
        const sums = await callEveryWay(namespace, 'server', 'get-sum', { a: 19, b: 23 });
        expect(sums).toEqual([expect.stringContaining('42'), expect.stringContaining('42')]);
        expect(await callAsOfOld(namespace, 'server', 'get-sum', { a: 19, b: 23 })).toContain('42');
      } else {
        // The pod cannot reach the internet: that the server answers in its own words is what counts.
        expect(await fleet.call(namespace, 'server', 'search', { query: 'kubernetes' })).not.toBe('');
      }
    },
  );

  test.concurrent('that does not exist is reported in the words of its installer', { timeout: 300_000 }, async () => {
    const namespace = await fleet.namespace();
    await fleet.apply(namespace, 'server', { package: { npm: { name: '@modelcontextprotocol/server-everything', version: '0.0.1' } } });
    await fleet.until(
      namespace,
      'server',
      'Available',
      { status: 'False', reason: 'CrashLooping', message: /The package cannot be installed.*(ETARGET|No matching version|notarget)/s },
      200,
    );
  });
});

test.concurrent('tools that change while the server runs are told by events, and required ones decide whether it is Ready', async () => {
  const namespace = await fleet.namespace();
  const verification = { interval: '10s' };
  await fleet.apply(namespace, 'server', faulty(['--tools', '2'], { verification }));
  const before = await fleet.ready(namespace, 'server');
  const old = (await inventory(namespace, before)).find(({ name }) => name === 'tool_0002');

  await fleet.behave(namespace, 'server', { tools: [{ name: 'tool_0002', description: 'Does something else' }, { name: 'brand_new' }] });
  const after = await fleet.eventually(
    () => fleet.client.get(ConfigMaps, { namespace, name: 'server-tools' }),
    ({ data }) => data?.['tools.json']?.includes('brand_new') ?? false,
  );
  const now = parseToolList(after.data?.['tools.json'] ?? '').find(({ name }) => name === 'tool_0002');
  const told = await fleet.eventually(
    async () => (await fleet.client.list(Events, { namespace })).items.filter(({ reason }) => reason?.startsWith('Tool') ?? false),
    (events) => events.length >= 3,
  );
  expect(told.map(({ reason, type, note }) => `${type} ${reason}: ${note}`).toSorted()).toEqual([
    expect.stringMatching(/^Normal ToolAdded: Tool brand_new is new \(sha256:[0-9a-f]{64}\)$/),
    expect.stringMatching(/^Normal ToolRemoved: Tool tool_0001 is gone \(it was sha256:[0-9a-f]{64}\)$/),
    `Warning ToolChanged: Tool tool_0002 changed from ${old?.digest} to ${now?.digest}`,
  ]);
  const changed = await fleet.ready(namespace, 'server');
  expect(changed.status?.tools?.digest).not.toBe(before.status?.tools?.digest);

  await fleet.apply(
    namespace,
    'server',
    faulty(['--tools', '2'], { verification: { ...verification, requiredTools: ['echo', 'absent'] } }),
  );
  const missing = {
    status: 'False',
    reason: 'RequiredToolMissing',
    message: /does not list absent \(verification\.requiredTools\)/,
  } as const;
  await fleet.until(namespace, 'server', 'Ready', missing);
  await fleet.behave(namespace, 'server', { tools: [{ name: 'absent' }] });
  await fleet.ready(namespace, 'server');
});

test.concurrent('a suspended server has no pods and everything else, and comes back', async () => {
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, 'server', faulty());
  await fleet.ready(namespace, 'server');
  const { spec: service } = await fleet.client.get(Services, { namespace, name: 'server' });

  await fleet.apply(namespace, 'server', faulty([], { suspend: true }));
  const suspended = await fleet.until(namespace, 'server', 'Ready', { status: 'True', reason: 'Suspended' });
  expect(suspended.status?.tools?.total).toBe(8);
  await fleet.eventually(
    () => fleet.pods(namespace, 'server'),
    (pods) => pods.length === 0,
  );
  expect((await fleet.client.get(Services, { namespace, name: 'server' })).spec?.clusterIP).toBe(service?.clusterIP);

  await fleet.apply(namespace, 'server', faulty());
  await fleet.until(namespace, 'server', 'Ready', { status: 'True', reason: 'Ready' });
  expect(await fleet.call(namespace, 'server', 'echo', { message: 'back' })).toBe('back');
});

test.concurrent('kubectl scale scales it, to zero too', async () => {
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, 'server', faulty());
  await fleet.ready(namespace, 'server');
  const scale = (replicas: number) => kubectl(['scale', 'mcpserver/server', '-n', namespace, `--replicas=${replicas}`]);

  await scale(2);
  await fleet.until(namespace, 'server', 'Available', { status: 'True', message: /^2 of 2 pods are ready$/ });
  await fleet.ready(namespace, 'server');
  const { status } = JSON.parse(
    await kubectl(['get', '--raw', `/apis/mcp-fleet.dev/v1alpha1/namespaces/${namespace}/mcpservers/server/scale`]),
  ) as {
    status: { replicas: number; selector: string };
  };
  expect(status.replicas).toBe(2);
  const selected = await kubectl(['get', 'pods', '-n', namespace, '-l', status.selector, '-o', 'name']);
  expect(selected.trim().split('\n').length).toBe(2);

  await scale(0);
  await fleet.until(namespace, 'server', 'Ready', { status: 'True', reason: 'ScaledToZero' });
  expect((await fleet.client.get(Deployments, { namespace, name: 'server' })).spec?.replicas).toBe(0);
  await scale(1);
  await fleet.until(namespace, 'server', 'Ready', { status: 'True', reason: 'Ready' });
});

test.concurrent('examples/quickstart becomes three servers that answer, and refuse what writes', { timeout: 300_000 }, async () => {
  const namespace = 'mcp-quickstart';
  await kubectl(['apply', '--server-side', '-k', join(ROOT, 'examples/quickstart')]);
  try {
    const servers = ['everything', 'from-npm', 'kubernetes'];
    const { items } = await fleet.client.list(MCPServers, { namespace });
    expect(items.map(({ metadata }) => metadata.name).toSorted()).toEqual(servers);
    for (const server of servers) await fleet.ready(namespace, server, 240);
    expect(await fleet.call(namespace, 'everything', 'echo', { message: 'hello' })).toContain('hello');
    expect(await fleet.call(namespace, 'from-npm', 'get-sum', { a: 19, b: 23 })).toContain('42');
    expect(await fleet.call(namespace, 'kubernetes', 'pods_list_in_namespace', { namespace })).toMatch(/from-npm-\S+/);
    await expect(fleet.call(namespace, 'kubernetes', 'pods_list_in_namespace', { namespace: 'kube-system' })).rejects.toThrow(/forbidden/);
    for (const [server, tool] of [
      ['everything', 'toggle-simulated-logging'],
      ['from-npm', 'toggle-simulated-logging'],
      ['kubernetes', 'pods_delete'],
    ] as const)
      await expect(fleet.call(namespace, server, tool)).rejects.toThrow(/Refused by policy: this call counts as/);
  } finally {
    await kubectl(['delete', 'namespace', namespace, '--wait=false']);
  }
});
