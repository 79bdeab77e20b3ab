import { Client as MCPClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import { Secrets } from '../../operator/kube/resources.ts';
import { faulty, Fleet } from '../fleet.ts';
import { CHALLENGE } from '../images/faulty/server.ts';
import { CONFORMANCE_SERVER_IMAGE } from '../images/servers.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { plantedSecret } from '../planted.ts';
import { exchange } from '../rawclient.ts';

/** Servers that the guard has to take as they are: those of the HTTP+SSE of 2024-11-05, and those that check callers themselves. */

let fleet: Fleet;
let kubectl: Kubectl;
beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});
afterAll(() => fleet[Symbol.asyncDispose]());

async function connected(namespace: string, server: string, headers: Readonly<Record<string, string>> = {}): Promise<MCPClient> {
  const client = new MCPClient({ name: 'e2e', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: { username: 'ann', email: 'ann' } }));
  await client.connect(new StreamableHTTPClientTransport(await fleet.url(namespace, server), { requestInit: { headers: { ...headers } } }));
  return client;
}

const sse = (more: Partial<MCPServerSpecInput> = {}): MCPServerSpecInput => ({
  container: { image: CONFORMANCE_SERVER_IMAGE, imagePullPolicy: 'IfNotPresent', args: ['events'] },
  resources: { requests: { cpu: '10m' } },
  transport: { type: 'SSE', bind: 'Loopback' },
  guard: { enabled: true },
  ...more,
});

test.concurrent('a server of 2024-11-05 is verified, and serves streamable HTTP under a policy', async () => {
  const namespace = await fleet.namespace();
  const allowed = ['test_elicitation', 'test_simple_text', 'test_tool_with_progress'];
  const policy = {
    apiVersion: 'mcp-fleet.dev/v1alpha1',
    kind: 'MCPToolPolicy',
    metadata: { name: 'three', namespace },
    spec: { selector: {}, defaultAction: 'Deny', rules: [{ name: 'three', effect: 'Allow', tools: allowed }] },
  };
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(policy));
  await fleet.apply(namespace, 'server', sse());
  await fleet.ready(namespace, 'server');
  const { status } = await fleet.until(namespace, 'server', 'PolicyApplied', { status: 'True', reason: 'Applied' });
  expect(status?.tools?.total).toBeGreaterThan(10);

  const client = await connected(namespace, 'server');
  expect((await client.listTools()).tools.map(({ name }) => name).toSorted()).toEqual(allowed);
  const seen: number[] = [];
  await client.callTool({ name: 'test_tool_with_progress' }, { onprogress: ({ progress }) => void seen.push(progress) });
  expect(seen).toEqual([0, 50, 100]);
  expect(await client.callTool({ name: 'test_elicitation', arguments: { message: 'who?' } })).toMatchObject({
    content: [{ text: expect.stringContaining('action=accept') }],
  });
  await expect(client.callTool({ name: 'test_image_content' })).rejects.toMatchObject({ code: -32602 });
  await client.close();
});

test.concurrent.each([
  ['over streamable HTTP', faulty(['--era', 'Legacy', '--sessions'], { guard: { enabled: true } }), 'FAULTY_TOKEN', CHALLENGE, 'echo'],
  ['of 2024-11-05', sse(), 'TOKEN', 'Bearer realm="test"', 'test_simple_text'],
] as const)('a server %s that checks its callers itself is AuthenticationRequired, and works for whoever it knows', async (...given) => {
  const [, spec, variable, challenge, tool] = given;
  const namespace = await fleet.namespace();
  const token = plantedSecret();
  const stringData = { token };
  await fleet.client.create(Secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'token', namespace }, stringData });
  const env = [{ name: variable, valueFrom: { secretKeyRef: { name: 'token', key: 'token' } } }];
  await fleet.apply(namespace, 'server', { ...spec, env, authentication: { type: 'Upstream' } });
  await fleet.ready(namespace, 'server');
  await fleet.until(namespace, 'server', 'Verified', { status: 'True', reason: 'AuthenticationRequired' });

  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
  });
  const refused = await exchange(await fleet.url(namespace, 'server'), { body });
  expect(refused.status).toBe(401);
  expect(refused.head.toLowerCase()).toContain(`www-authenticate: ${challenge.toLowerCase()}`);

  const client = await connected(namespace, 'server', { authorization: `Bearer ${token}` });
  expect((await client.listTools()).tools.map(({ name }) => name)).toContain(tool);
  expect(await client.callTool({ name: tool, arguments: { message: 'known' } })).toMatchObject({ content: [{ type: 'text' }] });
  await client.close();
});

test.concurrent('with a credential for verification its tools are known, pinned and bound by policies', async () => {
  const namespace = await fleet.namespace();
  const token = plantedSecret();
  const stringData = { token, authorization: `Bearer ${token}` };
  await fleet.client.create(Secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'token', namespace }, stringData });
  const readOnly = { selector: {}, defaultAction: 'Allow', access: { maximumClass: 'ReadOnly' } };
  const policy = { apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPToolPolicy', metadata: { name: 'read', namespace }, spec: readOnly };
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(policy));
  const headers = [{ name: 'Authorization', valueFrom: { secretKeyRef: { name: 'token', key: 'authorization' } } }];
  await fleet.apply(
    namespace,
    'server',
    faulty(['--era', 'Legacy', '--sessions'], {
      guard: { enabled: true },
      env: [{ name: 'FAULTY_TOKEN', valueFrom: { secretKeyRef: { name: 'token', key: 'token' } } }],
      authentication: { type: 'Upstream' },
      verification: { headers },
    }),
  );
  const { status } = await fleet.ready(namespace, 'server');
  expect(status?.tools?.names).toContain('echo');
  await fleet.until(namespace, 'server', 'PolicyApplied', { status: 'True', reason: 'Applied' });
  const client = await connected(namespace, 'server', { authorization: `Bearer ${token}` });
  const names = (await client.listTools()).tools.map(({ name }) => name);
  expect(names).toContain('echo');
  expect(names).not.toContain('crash');
  await client.close();
});
