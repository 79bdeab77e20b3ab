import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startCluster } from '../e2e/cluster/cluster.ts';
import type { Cluster } from '../e2e/cluster/cluster.ts';
import { kubectlFor } from '../e2e/kubectl.ts';
import type { Kubectl } from '../e2e/kubectl.ts';
import { AcceptedReason, ConditionType, PolicyAppliedReason, ReadyReason } from './conditions.ts';
import { API_VERSION } from './group.ts';
import type { MCPServer, MCPServerStatus } from './mcpserver.ts';

const CRD = join(import.meta.dirname, '../crds/mcp-fleet.dev_mcpservers.yaml');

let cluster: Cluster;
let kubectl: Kubectl;
let applied: string;

beforeAll(async () => {
  cluster = await startCluster({ controlPlaneOnly: true, name: 'mcpserver' });
  kubectl = await kubectlFor(cluster.kubeconfigPath);
  applied = await kubectl(['apply', '--warnings-as-errors', '-f', CRD]);
  await vi.waitFor(() => kubectl(['get', 'mcpservers']), { timeout: 20_000, interval: 50 });
});
afterAll(() => cluster.stop());

const server = (name: string, spec: object = {}) =>
  JSON.stringify({
    apiVersion: API_VERSION,
    kind: 'MCPServer',
    metadata: { name },
    spec: { container: { image: 'ghcr.io/org/server:v1' }, ...spec },
  });

const apply = (manifest: string, ...flags: readonly string[]) => kubectl(['apply', '--warnings-as-errors', ...flags, '-f', '-'], manifest);

const get = async (name: string): Promise<MCPServer> => JSON.parse(await kubectl(['get', 'mcps', name, '-o', 'json'])) as MCPServer;

/** Cells of the table that `kubectl get` prints, by column. */
async function row(...args: readonly string[]): Promise<Record<string, string>> {
  const [header = '', line = ''] = (await kubectl(['get', 'mcps', ...args])).split('\n');
  const columns = [...header.matchAll(/\S+\s*/g)].map(({ 0: text, index }) => ({
    name: text.trim(),
    from: index,
    to: index + text.length,
  }));
  return Object.fromEntries(
    columns.map(({ name, from, to }, at) => [name, line.slice(from, at === columns.length - 1 ? undefined : to).trim()]),
  );
}

const lastTransitionTime = '2026-11-20T20:00:00Z';
const condition = (type: string, reason: string, status: 'True' | 'False' = 'True') => ({
  type,
  status,
  reason,
  message: 'x',
  lastTransitionTime,
});

const STATUS: MCPServerStatus = {
  observedGeneration: 1,
  conditions: [
    condition(ConditionType.Ready, ReadyReason.Ready),
    condition(ConditionType.Accepted, AcceptedReason.Accepted),
    condition(ConditionType.PolicyApplied, PolicyAppliedReason.NoPolicy),
  ],
  address: { url: 'http://github.default.svc.cluster.local/mcp', externalURLs: ['https://github.mcp.example.com/mcp'] },
  replicas: 2,
  readyReplicas: 2,
  selector: 'mcp-fleet.dev/server=github',
  server: { name: 'github-mcp-server', version: '0.20.0', protocolVersions: ['2025-06-18'], era: 'Legacy', capabilities: ['tools'] },
  tools: { total: 91, readOnly: 40, destructive: 51, unannotated: 12, digest: 'sha256:0', names: ['get_issue'], inventory: 'github-tools' },
  verification: { lastSuccessTime: lastTransitionTime, message: 'x' },
  policies: [{ name: 'prod-github', namespace: 'agents', generation: 4 }],
  policyDigest: 'sha256:0',
  guards: { total: 2, current: 2 },
  lastHandledReconcileAt: lastTransitionTime,
};

const writeStatus = (name: string, status: object) =>
  apply(
    JSON.stringify({ apiVersion: API_VERSION, kind: 'MCPServer', metadata: { name }, status }),
    '--server-side',
    '--subresource=status',
  );

describe('the CustomResourceDefinition', () => {
  test('is taken by a client-side apply without a warning, and is established', async () => {
    expect(applied).toContain('created');
    const conditions = await kubectl(['get', '-f', CRD, '-o', 'jsonpath={range .status.conditions[*]}{.type}={.status} {end}']);
    expect(conditions.trim()).toBe('NamesAccepted=True Established=True');
  });

  test('changes nothing when it is applied again', async () => {
    expect(await kubectl(['apply', '--warnings-as-errors', '-f', CRD])).toContain('unchanged');
  });

  test('stays below 200 KiB, as a file and in the annotation of a client-side apply', async () => {
    const annotation = await kubectl(['get', '-f', CRD, '-o', 'jsonpath={.metadata.annotations}']);
    expect(annotation.length).toBeLessThan(200 * 1024);
    expect((await readFile(CRD)).length).toBeLessThan(200 * 1024);
  });

  test('explains its fields, as soon as the API server has published them', async () => {
    const explain = () => kubectl(['explain', 'mcps.spec.rollout.drainSeconds']);
    expect(await vi.waitFor(explain, { timeout: 20_000, interval: 200 })).toContain('Seconds that running calls get to finish');
  });
});

describe('an MCPServer', () => {
  test('is stored with its defaults', async () => {
    await apply(server('defaults'));
    expect((await get('defaults')).spec).toEqual({
      container: { image: 'ghcr.io/org/server:v1' },
      transport: { type: 'StreamableHTTP', bind: 'AllInterfaces' },
      replicas: 1,
      suspend: false,
      rollout: { maxSurge: 1, maxUnavailable: 0, drainSeconds: 30, progressDeadlineSeconds: 300, onReferenceChange: 'Restart' },
      network: { managed: true, egress: { internet: true, dns: true } },
      expose: { service: { type: 'ClusterIP', port: 80 } },
      authentication: { type: 'None', anonymous: false, forward: 'None' },
      policy: { required: false },
      guard: { enabled: true },
      session: { mode: 'Auto' },
      verification: { interval: '5m', timeout: '5s' },
      telemetry: { podMonitor: { enabled: false } },
    });
  });

  test('gets the defaults of an object that it gives in part', async () => {
    await apply(
      server('in-part', {
        rollout: { drainSeconds: 60 },
        network: { egress: { internet: false } },
        autoscaling: { maxReplicas: 3, cpuUtilization: 80 },
        kubernetesAccess: { clusterRoles: ['view'] },
        authentication: { type: 'Guard', serviceAccounts: {} },
      }),
    );
    expect((await get('in-part')).spec).toMatchObject({
      rollout: { drainSeconds: 60, maxSurge: 1, maxUnavailable: 0 },
      network: { managed: true, egress: { internet: false, dns: true } },
      autoscaling: { minReplicas: 1, maxReplicas: 3 },
      kubernetesAccess: { clusterWide: false, tokenExpirationSeconds: 7200 },
      authentication: { anonymous: false, forward: 'None', serviceAccounts: { audiences: ['mcp-fleet.dev'] } },
    });
  });

  test('with an unknown field is an error with kubectl, which names it', async () => {
    await expect(apply(server('unknown', { transport: { prot: 8080 } }))).rejects.toThrow('unknown field "spec.transport.prot"');
  });

  test('keeps the variables of two owners apart', async () => {
    await apply(server('owners', { env: [{ name: 'A', value: '1' }] }), '--server-side', '--field-manager=a');
    await apply(server('owners', { env: [{ name: 'B', value: '2' }] }), '--server-side', '--field-manager=b');
    await apply(server('owners', { env: [{ name: 'B', value: '3' }] }), '--server-side', '--field-manager=b');
    expect((await get('owners')).spec.env).toEqual([
      { name: 'A', value: '1' },
      { name: 'B', value: '3' },
    ]);
  });

  test('has a status of its own, which a spec cannot write', async () => {
    await apply(server('status'));
    await writeStatus('status', STATUS);
    await apply(server('status', { suspend: true }));
    const { status } = await get('status');
    expect(status).toEqual(STATUS);
  });
});

describe('kubectl get mcps', () => {
  beforeAll(async () => {
    await apply(server('github'));
    await writeStatus('github', STATUS);
  });

  test('shows what matters', async () => {
    expect(await row('github')).toEqual({
      NAME: 'github',
      READY: 'True',
      REASON: 'Ready',
      TRANSPORT: 'StreamableHTTP',
      TOOLS: '91',
      POLICY: 'NoPolicy',
      REPLICAS: '2',
      AGE: expect.stringMatching(/^\d+s$/),
    });
  });

  test('shows where and what with -o wide', async () => {
    expect(await row('github', '-o', 'wide')).toMatchObject({
      URL: 'http://github.default.svc.cluster.local/mcp',
      VERSION: '0.20.0',
      IMAGE: 'ghcr.io/org/server:v1',
    });
  });

  test('is part of category mcp', async () => {
    expect(await kubectl(['get', 'mcp', '-o', 'name'])).toContain('mcpserver.mcp-fleet.dev/github');
  });

  test('waits for a condition', async () => {
    await kubectl(['wait', '--for=condition=Ready', '--timeout=5s', 'mcps/github']);
  });
});

describe('the scale subresource', () => {
  test('reads status and writes replicas', async () => {
    await apply(server('scaled'));
    await writeStatus('scaled', { replicas: 1, selector: 'mcp-fleet.dev/server=scaled' });
    await kubectl(['scale', 'mcps/scaled', '--replicas=3']);
    const scale = JSON.parse(await kubectl(['get', '--raw', `/apis/${API_VERSION}/namespaces/default/mcpservers/scaled/scale`])) as object;
    expect(scale).toMatchObject({ spec: { replicas: 3 }, status: { replicas: 1, selector: 'mcp-fleet.dev/server=scaled' } });
    expect((await get('scaled')).spec.replicas).toBe(3);
  });
});
