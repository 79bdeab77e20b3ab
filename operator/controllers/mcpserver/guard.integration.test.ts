import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningOperator, until, verifiedBy, World } from '../../../e2e/operator-world.ts';
import type { MCPToolPolicySpecInput } from '../../../api/mcptoolpolicy.ts';
import type { Bundle } from '../../../mcp/policy/bundle.ts';
import { parseBundle } from '../../../mcp/policy/bundlecheck.ts';
import { ConfigMaps, Deployments, NetworkPolicies, Pods, Secrets } from '../../kube/resources.ts';
import { type Condition, conditionOf } from '../../runtime/conditions.ts';
import { kstatusViolations } from '../../runtime/kstatus.ts';
import { UNGUARDED } from './builders.ts';
import { MCPServers, MCPToolPolicies } from './stores.ts';

let world: World;
let operator: RunningOperator;
const SYSTEM = 'mcp-fleet-system';

beforeAll(async () => {
  world = await World.start({ name: 'guard' });
  operator = await world.operator();
});
afterAll(async () => {
  await operator?.stop();
  await world?.[Symbol.asyncDispose]();
});

const policy = (namespace: string, name: string, spec: MCPToolPolicySpecInput): Promise<string> =>
  world.apply(JSON.stringify({ apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPToolPolicy', metadata: { name, namespace }, spec }));

const readOnly: MCPToolPolicySpecInput = { selector: {}, defaultAction: 'Allow', access: { maximumClass: 'ReadOnly' } };

async function bundleOf(namespace: string, name: string): Promise<Bundle> {
  const { data = {} } = await world.get(ConfigMaps, { namespace, name: `${name}-policy` });
  return parseBundle(data['bundle.json'] ?? '');
}

async function policyCondition(namespace: string, name: string, type: string): Promise<Condition | undefined> {
  const { status } = await world.get(MCPToolPolicies, { namespace, name });
  return conditionOf(status?.conditions as readonly Condition[] | undefined, type);
}

describe('a server with a guard', () => {
  const namespace = 'guarded';
  const name = 'echo';
  beforeAll(async () => {
    await world.namespace(namespace);
    await world.server(namespace, name, { replicas: 2 });
    await world.ready(namespace, name);
  });

  it('has it as a sidecar that the Service finds, with bundle and keys', async () => {
    const { spec } = await world.get(Deployments, { namespace, name });
    const [guard] = spec?.template.spec?.initContainers ?? [];
    expect(guard).toMatchObject({ name: 'guard', restartPolicy: 'Always', image: 'example.com/operator:1' });
    expect(guard?.args).toContain('--upstream=http://127.0.0.1:8080/mcp');
    expect(guard?.ports?.map(({ name: port, containerPort }) => [port, containerPort])).toEqual([
      ['mcp', 15080],
      ['admin', 15090],
      ['metrics', 15091],
    ]);
    const [server] = spec?.template.spec?.containers ?? [];
    expect(server?.ports).toMatchObject([{ name: 'server', containerPort: 8080 }]);
    expect(server?.lifecycle?.preStop?.httpGet).toMatchObject({ path: '/drained', port: 15090 });
    const keys = await world.get(Secrets, { namespace, name: `${name}-guard` });
    expect(Buffer.from(keys.data?.['current'] ?? '', 'base64')).toHaveLength(32);
    expect(await bundleOf(namespace, name)).toMatchObject({
      server: { namespace, name },
      policy: { required: false, ambient: 'Allow', policies: [] },
    });
  });

  it('says that no policy selects it, and that its guards are current', async () => {
    const { status } = await world.ready(namespace, name);
    expect(status?.guards).toEqual({ total: 2, current: 2 });
    expect(status?.policies).toBeUndefined();
    expect(await world.condition(namespace, name, 'PolicyApplied')).toMatchObject({ status: 'True', reason: 'NoPolicy' });
  });

  it('has no more guards than its Deployment made pods, whatever other pods are labelled', async () => {
    const elsewhere = await world.namespace('strangers');
    const metadata = { name: 'stranger', namespace: elsewhere, labels: { 'mcp-fleet.dev/server': name } };
    const spec = { containers: [{ name: 'guard', image: 'example.com/stranger:1' }] };
    await world.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec }));
    await world.runPods(elsewhere);
    await world.server(elsewhere, name);
    await world.ready(elsewhere, name);
    expect((await world.get(Pods, metadata)).status?.podIP).toBeTruthy();
    expect((await world.get(MCPServers, { namespace: elsewhere, name })).status?.guards).toEqual({ total: 1, current: 1 });
  });

  it('lets its own guards, the operator and nobody else near the ports of the guard', async () => {
    const { spec } = await world.get(NetworkPolicies, { namespace, name });
    expect(spec?.ingress).toEqual([
      { ports: [{ port: 15080, protocol: 'TCP' }] },
      {
        ports: [{ port: 15090, protocol: 'TCP' }],
        from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': SYSTEM } } }],
      },
    ]);
  });

  it('has its tools pinned once, and never again by itself', async () => {
    const pins = { namespace, name: `${name}-pins` };
    expect((await world.get(ConfigMaps, pins)).metadata.ownerReferences).toBeUndefined();
    await until(async () => expect(Object.keys((await bundleOf(namespace, name)).pins?.tools ?? {})).toEqual(['echo']));
    await policy(namespace, 'pinned', readOnly);
    await world.client.delete(ConfigMaps, pins);
    await until(async () =>
      expect(await world.condition(namespace, name, 'PolicyApplied')).toMatchObject({ status: 'False', reason: 'PinsMissing' }),
    );
    expect(await world.find(ConfigMaps, pins)).toBeUndefined();
    expect((await bundleOf(namespace, name)).pins).toBeUndefined();
    await world.apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: pins,
        data: { 'git.json': `{"echo": ["sha256:${'0'.repeat(64)}"]}` },
      }),
    );
    await until(async () =>
      expect(await world.condition(namespace, name, 'PolicyApplied')).toMatchObject({ status: 'True', reason: 'Applied' }),
    );
    expect((await bundleOf(namespace, name)).pins?.tools).toEqual({ echo: [`sha256:${'0'.repeat(64)}`] });
    await world.client.delete(MCPToolPolicies, { namespace, name: 'pinned' });
  });

  it('takes a policy without a restart of its pods', async () => {
    const before = await world.client.list(Pods, { namespace });
    await policy(namespace, 'read', readOnly);
    await until(async () => {
      const { status } = await world.get(MCPServers, { namespace, name });
      expect(status?.policies).toEqual([{ name: 'read', namespace, generation: 1 }]);
      expect(status?.guards).toEqual({ total: 2, current: 2 });
      expect(await world.condition(namespace, name, 'PolicyApplied')).toMatchObject({
        status: 'True',
        reason: 'Applied',
        message: 'The guards enforce guarded/read',
      });
      expect(await policyCondition(namespace, 'read', 'Ready')).toMatchObject({
        status: 'True',
        message: 'The guards of 1 servers enforce it',
      });
      const { status: told } = await world.get(MCPToolPolicies, { namespace, name: 'read' });
      expect(told?.targets).toEqual({ total: 1, current: 1 });
    });
    const after = await world.client.list(Pods, { namespace });
    const uids = ({ items }: typeof before) => new Set(items.map(({ metadata }) => metadata.uid));
    expect(uids(after)).toEqual(uids(before));
    expect(kstatusViolations(await world.ready(namespace, name))).toEqual([]);
  });

  it('says which guards do not take it', async () => {
    world.stuck.add(name);
    await policy(namespace, 'read', { ...readOnly, access: { maximumClass: 'NonDestructive' } });
    await until(async () => expect(await world.condition(namespace, name, 'Reconciling')).toMatchObject({ reason: 'GuardBehind' }));
    expect(await policyCondition(namespace, 'read', 'Programmed')).toMatchObject({ status: 'False', reason: 'GuardBehind' });
    world.stuck.delete(name);
    await until(async () => expect(await policyCondition(namespace, 'read', 'Ready')).toMatchObject({ status: 'True' }));
  });

  it('is left by a policy that is deleted', async () => {
    await world.client.delete(MCPToolPolicies, { namespace, name: 'read' });
    await until(async () => {
      expect((await bundleOf(namespace, name)).policy.policies).toEqual([]);
      expect(await world.condition(namespace, name, 'PolicyApplied')).toMatchObject({ status: 'True', reason: 'NoPolicy' });
    });
  });

  it('causes no request that changes anything while all is as it should be', async () => {
    await policy(namespace, 'steady', { ...readOnly, rules: [{ name: 'r', effect: 'Allow', tools: ['nothing'] }] });
    await until(async () => {
      expect(await policyCondition(namespace, 'steady', 'Ready')).toMatchObject({ status: 'True' });
      expect(await world.condition(namespace, name, 'Reconciling')).toBeUndefined();
      expect(await world.condition(namespace, name, 'PolicyApplied')).toMatchObject({ reason: 'Applied' });
    });
    await operator.stop();
    const since = new Date();
    operator = await world.operator();
    await until(async () => expect((await world.audit()).some(({ resource, at }) => resource === 'mcpservers' && at >= since)).toBe(true));
    const elsewhere = await world.namespace('last');
    await world.server(elsewhere, 'last', {});
    await world.ready(elsewhere, 'last');
    expect((await world.writes(since)).filter((write) => write.namespace === namespace)).toEqual([]);
  });
});

describe('a server whose spec is refused', () => {
  const namespace = 'refused';
  const name = 'echo';
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'config', namespace }, data: { level: 'a' } };
  const spec = (level: string) => ({
    env: [{ name: 'LEVEL', valueFrom: { configMapKeyRef: { name: level, key: 'level' } } }],
  });
  const inForce = async () => (await bundleOf(namespace, name)).policy;
  beforeAll(async () => {
    await world.namespace(namespace);
    await world.apply(JSON.stringify(config));
    await world.server(namespace, name, spec('config'));
    await world.ready(namespace, name);
    await world.server(namespace, name, { ...spec('missing'), policy: { required: true } });
    await until(async () => expect(await world.condition(namespace, name, 'Accepted')).toMatchObject({ reason: 'ReferenceNotFound' }));
  });

  it('has policies applied by the guards that run, and nothing else', async () => {
    const before = await world.get(Deployments, { namespace, name });
    await policy(namespace, 'read', readOnly);
    await until(async () => {
      expect(await world.condition(namespace, name, 'PolicyApplied')).toMatchObject({ status: 'True', reason: 'Applied' });
      expect(await policyCondition(namespace, 'read', 'Ready')).toMatchObject({ status: 'True' });
    });
    expect(await inForce()).toMatchObject({ required: false, policies: [{ name: 'read', generation: 1 }] });
    expect((await world.get(Deployments, { namespace, name })).metadata.generation).toBe(before.metadata.generation);
  });

  it('has its bundle restored, also by an operator that knew it never accepted', async () => {
    await operator.stop();
    operator = await world.operator();
    await policy(namespace, 'read', { ...readOnly, access: { maximumClass: 'NonDestructive' } });
    await until(async () => expect(await inForce()).toMatchObject({ required: false, policies: [{ name: 'read', generation: 2 }] }));
    await world.client.delete(ConfigMaps, { namespace, name: `${name}-policy` });
    await until(async () => expect(await inForce()).toMatchObject({ required: false, policies: [{ name: 'read', generation: 2 }] }));
    expect(kstatusViolations(await world.get(MCPServers, { namespace, name }))).toEqual([]);
  });

  it('takes the rest of its spec when it is accepted again', async () => {
    await world.server(namespace, name, { ...spec('config'), policy: { required: true } });
    await world.ready(namespace, name);
    expect(await inForce()).toMatchObject({ required: true });
  });
});

describe('policies that do not fit into a bundle', () => {
  it('leave what fitted last in force, and everybody is told', async () => {
    const namespace = await world.namespace('large');
    await world.server(namespace, 'echo');
    await policy(namespace, 'read', readOnly);
    await until(async () => {
      await world.runPods(namespace);
      expect(await world.condition(namespace, 'echo', 'PolicyApplied')).toMatchObject({ reason: 'Applied' });
    });
    const rules = Array.from({ length: 5 }, (_, rule) => ({
      name: `r${rule}`,
      effect: 'Allow' as const,
      resources: Array.from({ length: 60 }, (__, index) => `file:///${index}/${'x'.repeat(980)}`),
    }));
    for (const name of ['l1', 'l2', 'l3', 'l4']) await policy(namespace, name, { ...readOnly, rules });
    await until(async () => {
      const condition = await world.condition(namespace, 'echo', 'PolicyApplied');
      expect(condition).toMatchObject({ status: 'False', reason: 'BundleTooLarge' });
      expect(condition?.message).toMatch(/shorten them: large\/l1 .* until then what fitted last stays in force/);
      const { status } = await world.get(MCPToolPolicies, { namespace, name: 'l4' });
      expect(status?.warnings?.join()).toMatch(/^large\/echo: The policy bundle would have/);
    });
    expect((await bundleOf(namespace, 'echo')).policy.policies.map((entry) => entry.name)).toContain('read');
    // The spec goes its way all the same.
    await world.server(namespace, 'echo', { replicas: 2 });
    await until(async () => expect((await world.get(Deployments, { namespace, name: 'echo' })).spec?.replicas).toBe(2));
    await world.client.delete(MCPToolPolicies, { namespace, name: 'l4' });
    await until(async () => {
      await world.runPods(namespace);
      expect(await world.condition(namespace, 'echo', 'PolicyApplied')).toMatchObject({ status: 'True', reason: 'Applied' });
    });
  });
});

describe('a guard in front of a Service', () => {
  const namespace = 'fronted';
  const name = 'front';
  const service = (targetPort: number) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'theirs', namespace },
    spec: { selector: { app: 'theirs' }, ports: [{ port: 80, targetPort }] },
  });
  const opened = async (targetPort: number) => {
    const { spec } = await world.get(NetworkPolicies, { namespace, name });
    const pods = { podSelector: { matchLabels: { app: 'theirs' } } };
    expect(spec?.egress).toContainEqual({ ports: [{ port: targetPort, protocol: 'TCP' }], to: [pods] });
    expect(spec?.egress).not.toContainEqual({ to: [{ podSelector: {} }] });
  };

  it('waits until it is there, and may reach the pods behind it alone, also when they change', async () => {
    await world.namespace(namespace);
    await world.server(namespace, name, { service: { name: 'theirs', port: 80 } });
    await until(async () =>
      expect(await world.condition(namespace, name, 'Accepted')).toMatchObject({
        status: 'False',
        reason: 'ReferenceNotFound',
        message: expect.stringContaining('Service theirs'),
      }),
    );
    await world.apply(JSON.stringify(service(8080)));
    await world.ready(namespace, name);
    await opened(8080);
    await world.apply(JSON.stringify(service(9090)));
    await until(() => opened(9090));
  });
});

describe('policies', () => {
  it('of the operator’s namespace reach the namespaces that they name', async () => {
    const namespace = await world.namespace('team-a');
    await world.server(namespace, 'one');
    await policy(SYSTEM, 'platform', { ...readOnly, namespaces: { matchNames: ['team-*'] } });
    await until(async () =>
      expect((await bundleOf(namespace, 'one')).policy.policies).toMatchObject([{ namespace: SYSTEM, name: 'platform', tier: 'platform' }]),
    );
    await world.client.delete(MCPToolPolicies, { namespace: SYSTEM, name: 'platform' });
  });

  it('of other namespaces may not', async () => {
    const namespace = await world.namespace('elsewhere');
    await expect(policy(namespace, 'greedy', { ...readOnly, namespaces: { matchNames: ['*'] } })).rejects.toThrow(
      /only policies in namespace mcp-fleet-system/,
    );
  });

  it('that select a server without a guard are reported as not enforced', async () => {
    const namespace = await world.namespace('bare');
    await world.server(namespace, 'open', UNGUARDED);
    await policy(namespace, 'read', readOnly);
    await until(async () => {
      await world.runPods(namespace);
      expect(await world.condition(namespace, 'open', 'PolicyApplied')).toMatchObject({ status: 'False', reason: 'NotEnforced' });
      expect(await policyCondition(namespace, 'read', 'Ready')).toMatchObject({ status: 'False', reason: 'NotEnforced' });
    });
  });

  it('that are required and missing are reported', async () => {
    const namespace = await world.namespace('strict');
    await world.server(namespace, 'needy', { policy: { required: true } });
    await until(async () => {
      await world.runPods(namespace);
      expect(await world.condition(namespace, 'needy', 'PolicyApplied')).toMatchObject({ status: 'False', reason: 'PolicyMissing' });
    });
    expect((await bundleOf(namespace, 'needy')).policy.required).toBe(true);
  });

  it('tell about patterns that match nothing', async () => {
    const namespace = await world.namespace('typo');
    world.answers.set('typo', verifiedBy('search'));
    await world.server(namespace, 'typo');
    await world.ready(namespace, 'typo');
    await policy(namespace, 'wrong', { selector: {}, defaultAction: 'Deny', rules: [{ name: 'r', effect: 'Allow', tools: ['serach'] }] });
    await until(async () => {
      const { status } = await world.get(MCPToolPolicies, { namespace, name: 'wrong' });
      expect(status?.warnings?.join()).toMatch(/serach.*typo/);
    });
  });
});

describe('the keys of the guards', () => {
  it('are created and never read', async () => {
    const secrets = (await world.audit()).filter(({ resource }) => resource === 'secrets');
    expect(new Set(secrets.map(({ verb }) => verb))).toEqual(new Set(['create']));
    expect((await world.audit()).filter(({ code }) => code === 403)).toEqual([]);
  });
});
