import { Client as MCPClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import { Fleet } from '../fleet.ts';
import { EVERYTHING_PUBLISHED, KUBERNETES_MCP_SERVER_PUBLISHED } from '../images/servers.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { normalised, RawSession } from '../rawclient.ts';

let fleet: Fleet;
let kubectl: Kubectl;
beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});
afterAll(() => fleet[Symbol.asyncDispose]());

interface Subject {
  readonly spec: MCPServerSpecInput;
  /** Calls of tools that read, whose answers are the same each time. */
  readonly reading: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Tools that must be among the hidden ones, lest the server's hints say nothing. */
  readonly writing: readonly string[];
}

const SERVERS: Readonly<Record<string, (namespace: string) => Subject>> = {
  'server-everything': () => ({
    spec: {
      container: { image: EVERYTHING_PUBLISHED, imagePullPolicy: 'IfNotPresent', command: ['node', 'dist/index.js', 'streamableHttp'] },
      transport: { port: 3001 },
      guard: { enabled: true },
    },
    reading: { echo: { message: 'hello' }, 'get-sum': { a: 2, b: 3 } },
    writing: [],
  }),
  'kubernetes-mcp-server': (namespace) => ({
    spec: {
      container: { image: KUBERNETES_MCP_SERVER_PUBLISHED, args: ['--port', '8080'] },
      kubernetesAccess: { clusterRoles: ['view'] },
      guard: { enabled: true },
    },
    reading: { resources_get: { apiVersion: 'v1', kind: 'ServiceAccount', name: 'default', namespace } },
    writing: ['pods_delete', 'pods_run', 'pods_exec', 'resources_create_or_update', 'resources_delete'],
  }),
};

test.concurrent.each(Object.entries(SERVERS))('%s under maximumClass ReadOnly', async (_name, subjectIn) => {
  const namespace = await fleet.namespace();
  const { spec, reading, writing } = subjectIn(namespace);
  await fleet.apply(namespace, 'server', spec);
  await fleet.ready(namespace, 'server', 150);
  const url = await fleet.url(namespace, 'server');
  const client = new MCPClient({ name: 'e2e', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(url));
  const read = async (): Promise<unknown[]> =>
    Promise.all(Object.entries(reading).map(([name, args]) => client.callTool({ name, arguments: args })));

  const all = (await client.listTools()).tools;
  const allowed = all.filter(({ annotations }) => annotations?.readOnlyHint === true);
  const hidden = all.filter((tool) => !allowed.includes(tool)).map(({ name }) => name);
  expect(hidden).toEqual(expect.arrayContaining([...writing]));
  expect(hidden.length).toBeGreaterThan(0);
  const answers = await read();

  const readOnly = { selector: {}, defaultAction: 'Allow', access: { maximumClass: 'ReadOnly' } };
  const policy = { apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPToolPolicy', metadata: { name: 'read', namespace }, spec: readOnly };
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(policy));
  const listed = await fleet.eventually(
    async () => (await client.listTools()).tools,
    (tools) => tools.length < all.length,
  );

  // What reads is as it was: the same definitions in the same order, and the same answers.
  expect(listed).toEqual(allowed);
  expect(await read()).toEqual(answers);
  await client.close();

  // What writes is answered like what does not exist, to the byte: only the name that the request had differs.
  const session = await RawSession.open(url);
  for (const name of hidden) {
    const unknown = 'x'.repeat(name.length);
    const answer = await session.call(name);
    expect(answer.body).toContain('"code":-32602');
    expect(normalised(answer, name)).toBe(normalised(await session.call(unknown), unknown));
  }
});
