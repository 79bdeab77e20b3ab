import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startCluster } from '../e2e/cluster/cluster.ts';
import type { Cluster } from '../e2e/cluster/cluster.ts';
import { kubectlFor } from '../e2e/kubectl.ts';
import { ACCEPTED, CONTAINER } from './admission.accepted.ts';
import { REFUSED } from './admission.refused.ts';
import { API_VERSION } from './group.ts';
import { MCPSERVER } from './kinds.ts';
import { MCPServerSpec } from './mcpserver.ts';
import { crd } from './schema/crd.ts';
import type { Rule } from './schema/markers.ts';

let cluster: Cluster;
let agent: Agent | undefined;

beforeAll(async () => {
  cluster = await startCluster({ controlPlaneOnly: true, name: 'admission' });
  const kubectl = await kubectlFor(cluster.kubeconfigPath);
  await kubectl(['create', '-f', '-'], JSON.stringify(crd(MCPSERVER)));
  await vi.waitFor(() => kubectl(['get', 'mcpservers']), { timeout: 20_000, interval: 50 });
  const { certificate: cert, key } = cluster.adminCertificate;
  agent = new Agent({ connect: { ca: cluster.caPem, cert, key } });
});
afterAll(async () => {
  await agent?.close();
  await cluster.stop();
});

/** What the API server answers to a server of this spec, as strict as it is with kubectl. Nothing is stored. */
async function admit(spec: object, name = 'github'): Promise<{ status: number; message: string; spec?: unknown }> {
  const url = `${cluster.apiServerUrl}/apis/${API_VERSION}/namespaces/default/mcpservers?dryRun=All&fieldValidation=Strict`;
  const body = JSON.stringify({ apiVersion: API_VERSION, kind: 'MCPServer', metadata: { name }, spec });
  const headers = { 'content-type': 'application/json' };
  const response = await request(url, { method: 'POST', body, headers, ...(agent && { dispatcher: agent }) });
  const answer = (await response.body.json()) as { message?: string; spec?: unknown };
  return { status: response.statusCode, message: answer.message ?? '', spec: answer.spec };
}

const BAD_NAME = 'must begin with a letter, end with a letter or digit and have at most 52 lower-case letters, digits and hyphens';

describe('a server is accepted', () => {
  test.each(Object.entries(ACCEPTED))('%s, with the defaults that zod fills in', async (_sentence, spec) => {
    expect(await admit(spec)).toEqual({ status: 201, message: '', spec: MCPServerSpec.parse(spec) });
  });

  test.each(['a', 'github', 'g-1', `a${'b'.repeat(51)}`])('with name %s', async (name) => {
    expect(await admit(CONTAINER, name)).toMatchObject({ status: 201, message: '' });
  });
});

describe('a server is refused', () => {
  test.each(Object.entries(REFUSED))('%s', async (_sentence, { spec, field, message }) => {
    const answer = await admit(spec);
    expect(answer.message).toContain(message);
    expect(answer.message).toContain(`${field}: `);
    expect(answer.status).toBe(422);
  });

  test.each(['1a', 'a.b', 'a-', `a${'b'.repeat(52)}`])('with name %s', async (name) => {
    const answer = await admit(CONTAINER, name);
    expect(answer.message).toContain(`metadata.name: Invalid value: ${BAD_NAME}`);
    expect(answer.status).toBe(422);
  });

  test('with a field that does not exist', async () => {
    const answer = await admit({ ...CONTAINER, podTemplate: { metdata: {} } });
    expect(answer).toMatchObject({ status: 400, message: expect.stringContaining('unknown field "spec.podTemplate.metdata"') });
  });

  test('by every rule of the schema, each in a test above', () => {
    const seen = [BAD_NAME, ...Object.values(REFUSED).map(({ message }) => message)];
    expect(messages(crd(MCPSERVER)).filter((message) => !seen.some((part) => message.includes(part)))).toEqual([]);
  });
});

/** Messages of all CEL rules inside. */
function messages(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const own =
    'x-kubernetes-validations' in node ? (node['x-kubernetes-validations'] as readonly Rule[]).map(({ message = '' }) => message) : [];
  return [...new Set([...own, ...Object.values(node).flatMap(messages)])];
}
