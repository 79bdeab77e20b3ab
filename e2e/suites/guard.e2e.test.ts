import { Client as MCPClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { expect, inject, test, type TestContext } from 'vitest';
import type { MCPToolPolicySpecInput } from '../../api/mcptoolpolicy.ts';
import { gone, kubectlFor } from '../kubectl.ts';
import { EVERYTHING_PUBLISHED, KUBERNETES_MCP_SERVER_PUBLISHED } from '../images/servers.ts';
import { ConformantClient } from '../conformant.ts';
import { faulty, Fleet, MCPServers } from '../fleet.ts';
import { Traffic } from '../traffic.ts';

interface Scene {
  readonly fleet: Fleet;
  readonly namespace: string;
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  /** A session of the official client through the Service. */
  readonly connect: (server: string) => Promise<MCPClient>;
  readonly policy: (name: string, spec: MCPToolPolicySpecInput) => Promise<void>;
}

async function scene({ onTestFinished }: TestContext): Promise<Scene> {
  const fleet = await Fleet.of(inject('kubeconfig'));
  onTestFinished(() => fleet[Symbol.asyncDispose]());
  const namespace = await fleet.namespace();
  const kubectl = await kubectlFor(inject('kubeconfig'));
  // Asked once: callers in a loop would take the processor from what they watch.
  const urls = new Map<string, URL>();
  return {
    fleet,
    namespace,
    kubectl,
    connect: async (server) => {
      const url = urls.get(server) ?? (await fleet.url(namespace, server));
      urls.set(server, url);
      const client = new MCPClient({ name: 'e2e', version: '1' });
      await client.connect(new StreamableHTTPClientTransport(url));
      onTestFinished(() => client.close().catch(() => {}));
      return client;
    },
    policy: async (name, spec) => {
      const object = { apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPToolPolicy', metadata: { name, namespace }, spec };
      await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(object));
    },
  };
}

const namesOf = async (client: MCPClient): Promise<string[]> => (await client.listTools()).tools.map(({ name }) => name).toSorted();

test.concurrent('calls pass the guard, also while pods are replaced under traffic', async (context) => {
  const { fleet, namespace, connect, kubectl } = await scene(context);
  const servers = {
    good: faulty(['--era', 'Legacy', '--sessions'], { replicas: 2 }),
    stateless: faulty(),
  };
  for (const [name, spec] of Object.entries(servers)) await fleet.apply(namespace, name, spec);
  await fleet.ready(namespace, 'stateless');
  const url = await fleet.url(namespace, 'good');
  const ready = await fleet.ready(namespace, 'good');
  expect(ready.status?.guards).toEqual({ total: 2, current: 2 });
  expect(ready.status?.tools?.total).toBeGreaterThan(3);

  const client = await connect('good');
  expect(await client.callTool({ name: 'echo', arguments: { text: 'x' } })).toMatchObject({ content: expect.anything() });

  const failures: string[] = [];
  const answered = { inNewSessions: 0, inKeptSessions: 0 };
  const traffic = { on: true };
  context.onTestFinished(() => {
    traffic.on = false;
  });
  const noting = async (call: () => Promise<void>): Promise<void> => {
    while (traffic.on) {
      await call().catch((error: unknown) => failures.push(`${new Date().toISOString()} ${String(error)}`));
    }
  };
  const kept = await Promise.all((['v1', 'v2'] as const).map((sdk) => ConformantClient.connect(sdk, url)));
  const callers = [
    ...[1, 2, 3].map(() =>
      noting(async () => {
        const one = await connect('good');
        await one.callTool({ name: 'wait', arguments: { milliseconds: 200 } });
        await one.close();
        answered.inNewSessions += 1;
      }),
    ),
    ...kept.map((one) =>
      noting(async () => {
        await one.call('wait', { milliseconds: 20 });
        answered.inKeptSessions += 1;
      }),
    ),
  ];
  // On connections that are kept and on new ones, without sessions.
  const stateless = new Traffic(await fleet.url(namespace, 'stateless'), 'where', 20);
  {
    await using _ = stateless;
    for (const revision of ['2', '3']) {
      const before = [...(await fleet.pods(namespace, 'good')), ...(await fleet.pods(namespace, 'stateless'))];
      for (const [name, each] of Object.entries(servers)) await fleet.apply(namespace, name, { ...each, annotations: { revision } });
      // Until the old pods have really gone: that is when their last connections end.
      await gone(kubectl, namespace, before);
      for (const name of Object.keys(servers)) await fleet.ready(namespace, name, 120);
    }
    traffic.on = false;
    await Promise.all(callers);
  }
  await Promise.all(kept.map((one) => one.close()));
  const { inNewSessions, inKeptSessions } = answered;
  const [fresh, held] = [stateless.answered('New'), stateless.answered('Kept')];
  process.stdout.write(
    `rollouts of guarded pods: calls in ${inNewSessions} new sessions and ${inKeptSessions} in two kept ones, ${fresh} on new and ${held} on kept connections\n`,
  );
  expect(failures).toEqual([]);
  expect(stateless.lost).toEqual([]);
  for (const count of [inNewSessions, inKeptSessions, fresh, held]) expect(count).toBeGreaterThan(20);
}, 600_000);

test.concurrent('a server on loopback is reached through its guard alone', async (context) => {
  const { fleet, namespace, connect } = await scene(context);
  await fleet.apply(namespace, 'inner', faulty(['--address', '127.0.0.1'], { transport: { bind: 'Loopback' } }));
  await fleet.ready(namespace, 'inner');
  expect(await namesOf(await connect('inner'))).toContain('echo');
  const [pod] = await fleet.pods(namespace, 'inner');
  const address = pod?.status?.podIP ?? '';
  await expect(fetch(`http://${address}:8080/mcp`, { method: 'POST', signal: AbortSignal.timeout(3000) })).rejects.toThrow();
  expect((await fetch(`http://${address}:15080/mcp`, { method: 'POST', signal: AbortSignal.timeout(3000) })).status).toBeGreaterThanOrEqual(
    400,
  );
});

test.concurrent('a way around the guard is told where a policy holds callers back, and nowhere else', async (context) => {
  const { fleet, namespace, policy } = await scene(context);
  const told = async (name: string): Promise<string> => {
    const { status } = await fleet.client.get(MCPServers, { namespace, name });
    return status?.conditions?.find(({ type }) => type === 'Accepted')?.message ?? '';
  };
  const servers = {
    open: faulty(),
    inner: faulty(['--address', '127.0.0.1'], { transport: { bind: 'Loopback' } }),
    free: faulty(),
  };
  await policy('read', { targetRefs: [{ name: 'open' }, { name: 'inner' }], defaultAction: 'Allow', access: { maximumClass: 'ReadOnly' } });
  for (const [name, spec] of Object.entries(servers)) await fleet.apply(namespace, name, spec);
  for (const name of Object.keys(servers)) await fleet.ready(namespace, name);
  // Nothing enforces NetworkPolicies here.
  await fleet.eventually(
    () => told('open'),
    (message) => /Noted BypassPossible: Port 8080 of the pods answers around the guard/.test(message),
  );
  await fleet.eventually(
    () => fleet.events(namespace, 'open'),
    (events) => events.includes('Warning BypassPossible'),
  );
  await fleet.ready(namespace, 'open');
  for (const name of ['inner', 'free']) expect(await told(name)).not.toContain('BypassPossible');
});

const readOnly: MCPToolPolicySpecInput = { selector: {}, defaultAction: 'Allow', access: { maximumClass: 'ReadOnly' } };

test.concurrent('a policy in four lines makes a server read-only, without a restart and within seconds', async (context) => {
  const { fleet, namespace, connect, policy, kubectl } = await scene(context);
  const everything = {
    container: {
      image: EVERYTHING_PUBLISHED,
      imagePullPolicy: 'IfNotPresent' as const,
      command: ['node', 'dist/index.js', 'streamableHttp'],
    },
    transport: { port: 3001 },
  };
  await fleet.apply(namespace, 'everything', everything);
  await fleet.ready(namespace, 'everything', 120);
  const client = await connect('everything');
  const all = (await client.listTools()).tools;
  const reading = all.filter(({ annotations }) => annotations?.readOnlyHint === true).map(({ name }) => name);
  const others = all.map(({ name }) => name).filter((name) => !reading.includes(name));
  const before = await fleet.pods(namespace, 'everything');

  const applied = performance.now();
  await policy('read', readOnly);
  await fleet.eventually(
    () => namesOf(client),
    (names) => names.join() === reading.toSorted().join(),
    30,
  );
  const took = Math.round(performance.now() - applied);
  await context.annotate(`from apply to enforced: ${took} ms`);

  const hidden = others[0] ?? '';
  const answer = (name: string): Promise<string> =>
    client.callTool({ name, arguments: {} }).then(
      (result) => JSON.stringify(result),
      (error: unknown) => String(error).replaceAll(name, 'TOOL'),
    );
  expect(await answer(hidden)).toBe(await answer('no_such_tool'));
  const status = await fleet.until(namespace, 'everything', 'PolicyApplied', { status: 'True', reason: 'Applied' });
  expect(status.status?.policies).toEqual([{ name: 'read', namespace, generation: 1 }]);
  await kubectl(['wait', '--for=condition=Ready', 'mcptp/read', '-n', namespace, '--timeout=20s']);

  await kubectl(['delete', 'mcptp', 'read', '-n', namespace]);
  await fleet.eventually(
    () => namesOf(client),
    (names) => names.length === all.length,
    30,
  );
  const after = await fleet.pods(namespace, 'everything');
  expect(after.map(({ metadata }) => metadata.uid)).toEqual(before.map(({ metadata }) => metadata.uid));
  const restarts = after.flatMap(({ status: pod }) => [...(pod?.initContainerStatuses ?? []), ...(pod?.containerStatuses ?? [])]);
  expect(restarts.map(({ restartCount }) => restartCount)).toEqual(restarts.map(() => 0));
});

test.concurrent('the Kubernetes server under a read-only policy lists and answers what reads alone', async (context) => {
  const { fleet, namespace, connect, policy } = await scene(context);
  await policy('read', readOnly);
  await fleet.apply(namespace, 'kubernetes', {
    container: { image: KUBERNETES_MCP_SERVER_PUBLISHED, args: ['--port', '8080'] },
    kubernetesAccess: { clusterRoles: ['view'] },
  });
  await fleet.ready(namespace, 'kubernetes', 120);
  await fleet.until(namespace, 'kubernetes', 'PolicyApplied', { status: 'True', reason: 'Applied' });
  const client = await connect('kubernetes');
  const names = await namesOf(client);
  expect(names).toContain('pods_list');
  expect(names).not.toContain('pods_delete');
  await expect(client.callTool({ name: 'pods_delete', arguments: { name: 'x', namespace } })).rejects.toMatchObject({ code: -32602 });
  const listed = await client.callTool({ name: 'pods_list_in_namespace', arguments: { namespace } });
  expect(JSON.stringify(listed)).toContain('kubernetes-');
});

test.concurrent('a stdio server runs like any other, in its own image', async (context) => {
  const { fleet, namespace, connect, policy } = await scene(context);
  const stdio = (processes: 'Shared' | 'PerSession') => ({
    container: {
      image: EVERYTHING_PUBLISHED,
      imagePullPolicy: 'IfNotPresent' as const,
      command: ['node', 'dist/index.js'],
      args: ['stdio'],
    },
    transport: { type: 'Stdio' as const },
    stdio: { processes },
  });
  await fleet.apply(namespace, 'shared', stdio('Shared'));
  await fleet.apply(namespace, 'own', stdio('PerSession'));
  for (const name of ['shared', 'own']) {
    const { status } = await fleet.ready(namespace, name, 120);
    expect(status?.tools?.total).toBeGreaterThan(5);
    const client = await connect(name);
    expect(await client.callTool({ name: 'echo', arguments: { message: 'through the shim' } })).toMatchObject({
      content: [{ type: 'text', text: expect.stringContaining('through the shim') }],
    });
  }
  const client = await connect('shared');
  const all = await namesOf(client);
  await policy('read', readOnly);
  await fleet.eventually(
    () => namesOf(client),
    (names) => names.length < all.length,
    30,
  );
});

test.concurrent('the guard stands in front of a Service that somebody else runs', async (context) => {
  const { fleet, namespace, connect, policy } = await scene(context);
  await fleet.apply(namespace, 'theirs', faulty(['--era', 'Legacy']));
  await fleet.ready(namespace, 'theirs');
  await fleet.apply(namespace, 'front', { service: { name: 'theirs', port: 80 } });
  const { status } = await fleet.ready(namespace, 'front', 120);
  expect(status?.guards).toEqual({ total: 1, current: 1 });
  const client = await connect('front');
  expect(await namesOf(client)).toContain('echo');
  await policy('none', { targetRefs: [{ name: 'front' }], defaultAction: 'Deny' });
  await fleet.eventually(
    () => namesOf(client),
    (names) => names.length === 0,
    30,
  );
});
