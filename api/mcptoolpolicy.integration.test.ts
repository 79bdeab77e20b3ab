import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster } from '../e2e/cluster/cluster.ts';
import type { Cluster } from '../e2e/cluster/cluster.ts';
import { established, kubectlFor } from '../e2e/kubectl.ts';
import { API_VERSION } from './group.ts';
import { MCPTOOLPOLICY } from './kinds.ts';
import type { MCPToolPolicy } from './mcptoolpolicy.ts';
import { ACCEPTED_POLICIES, MINIMAL, REFUSED_POLICIES } from './mcptoolpolicy.admission.ts';
import { crd } from './schema/crd.ts';
import type { Schema } from './schema/structural.ts';

let cluster: Cluster;
let agent: Agent;

beforeAll(async () => {
  cluster = await startCluster({ controlPlaneOnly: true, name: 'policies' });
  const kubectl = await kubectlFor(cluster.kubeconfigPath);
  await kubectl(['apply', '-f', '-'], JSON.stringify(crd(MCPTOOLPOLICY)));
  await established(kubectl, ['mcptoolpolicies.mcp-fleet.dev']);
  const { certificate: cert, key } = cluster.adminCertificate;
  agent = new Agent({ connect: { ca: cluster.caPem, cert, key } });
});
afterAll(async () => {
  await agent.close();
  await cluster.stop();
});

/** What the API server answers to a policy of this spec, as strict as it is with kubectl. Nothing is stored. */
async function admit(spec: object): Promise<{ status: number; message: string; policy: Partial<MCPToolPolicy> }> {
  const url = `${cluster.apiServerUrl}/apis/${API_VERSION}/namespaces/default/mcptoolpolicies?dryRun=All&fieldValidation=Strict`;
  const body = JSON.stringify({ apiVersion: API_VERSION, kind: 'MCPToolPolicy', metadata: { name: 'policy' }, spec });
  const response = await request(url, { method: 'POST', body, headers: { 'content-type': 'application/json' }, dispatcher: agent });
  const answer = (await response.body.json()) as { message?: string } & Partial<MCPToolPolicy>;
  return { status: response.statusCode, message: answer.message ?? '', policy: answer };
}

describe('a policy is accepted', () => {
  test.each(Object.entries(ACCEPTED_POLICIES))('%s', async (_sentence, spec) => {
    const { status, message } = await admit({ ...MINIMAL, ...spec });
    expect({ status, message }).toEqual({ status: 201, message: '' });
  });

  test('in one line of spec, and everything else has a default', async () => {
    const { policy } = await admit({ selector: {}, defaultAction: 'Allow', access: { maximumClass: 'ReadOnly' } });
    expect(policy.spec).toEqual({
      selector: {},
      defaultAction: 'Allow',
      mode: 'Enforce',
      access: { maximumClass: 'ReadOnly', trustAnnotations: 'Pinned' },
      methods: {
        completion: 'Allow',
        logging: 'Allow',
        subscriptions: 'Allow',
        tasks: 'BoundToCaller',
        unknown: 'Deny',
        serverRequests: { elicitation: 'Allow', sampling: 'Deny', roots: 'Deny' },
      },
      limits: {},
      pinning: 'Warn',
      audit: { level: 'Metadata', onFailure: 'Block' },
      hiddenAnswer: 'NotFound',
    });
  });
});

describe('a policy is refused', () => {
  test.each(Object.entries(REFUSED_POLICIES))('%s', async (_sentence, { spec, field, message }) => {
    const answer = await admit({ ...MINIMAL, ...spec });
    expect(answer).toMatchObject({ status: 422, message: expect.stringContaining(message) });
    expect(answer.message).toContain(`${field}: `);
  });

  test('with a field that does not exist', async () => {
    expect(await admit({ ...MINIMAL, rulez: [] })).toMatchObject({
      status: 400,
      message: expect.stringContaining('unknown field "spec.rulez"'),
    });
  });

  test('by every rule of the schema, some policy above', () => {
    const seen = Object.values(REFUSED_POLICIES).map(({ message }) => message);
    const { versions } = crd(MCPTOOLPOLICY).spec as { versions: readonly { schema: { openAPIV3Schema: Schema } }[] };
    const spec = versions[0]?.schema.openAPIV3Schema.properties?.['spec'];
    expect(messagesIn(spec).filter((message) => !seen.some((text) => message.includes(text)))).toEqual([]);
  });
});

/** Every message of a CEL rule, wherever it stands, but for those of Kubernetes' own shapes. */
function messagesIn(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = (schema as Schema)['x-kubernetes-validations'] ?? [];
  return [...new Set([...own.flatMap((rule) => rule.message ?? []), ...Object.values(schema).flatMap(messagesIn)])];
}
