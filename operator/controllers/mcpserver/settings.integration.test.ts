import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import { type RunningOperator, until, World } from '../../../e2e/operator-world.ts';
import { Deployments, Roles, Services } from '../../kube/resources.ts';
import { kstatusViolations } from '../../runtime/kstatus.ts';
import { MCPServers } from './stores.ts';

let world: World;
beforeAll(async () => {
  world = await World.start({ name: 'settings' });
});
afterAll(() => world?.[Symbol.asyncDispose]());

const secret = (namespace: string, name: string, value: string) =>
  world.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData: { token: value } }));

describe('with rotation of Secrets', () => {
  const namespace = 'rotation';
  let operator: RunningOperator;
  const digest = async (name: string) =>
    (await world.get(Deployments, { namespace, name })).spec?.template.metadata?.annotations?.['mcp-fleet.dev/config-digest'];

  beforeAll(async () => {
    await world.apply(await readFile(join(import.meta.dirname, '../../../config/secret-rotation/role.yaml'), 'utf8'));
    await world.namespace(namespace);
    operator = await world.operator({ secretRotation: true });
  });
  afterAll(() => operator.stop());

  it('waits for a Secret that is missing', async () => {
    await world.server(namespace, 'late', { envFrom: [{ secretRef: { name: 'late' } }] });
    await until(async () =>
      expect(await world.condition(namespace, 'late', 'Accepted')).toMatchObject({
        status: 'False',
        reason: 'ReferenceNotFound',
        message: expect.stringContaining('Secret late'),
      }),
    );
    await secret(namespace, 'late', 'x');
    await world.ready(namespace, 'late');
  });

  it('replaces pods when a Secret changes, once for several changes', async () => {
    await secret(namespace, 'token', '1');
    await world.server(namespace, 'user', { env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'token', key: 'token' } } }] });
    await world.ready(namespace, 'user');
    expect((await world.condition(namespace, 'user', 'Accepted'))?.message).not.toContain('RotationDisabled');
    const before = await digest('user');
    const { generation = 0 } = (await world.get(Deployments, { namespace, name: 'user' })).metadata;
    for (const value of ['2', '3', '4']) await secret(namespace, 'token', value);
    await until(async () => expect(await digest('user')).not.toBe(before));
    await world.ready(namespace, 'user');
    expect((await world.get(Deployments, { namespace, name: 'user' })).metadata.generation).toBe(generation + 1);
  });

  it('leaves pods alone that shall ignore it', async () => {
    await world.server(namespace, 'stoic', { envFrom: [{ secretRef: { name: 'token' } }], rollout: { onReferenceChange: 'Ignore' } });
    await world.ready(namespace, 'stoic');
    const before = await digest('stoic');
    await secret(namespace, 'token', '5');
    // The other server's pods are replaced by the same change: then the time has come for both.
    const other = await digest('user');
    await until(async () => expect(await digest('user')).not.toBe(other));
    expect(await digest('stoic')).toBe(before);
  });

  it('replaces the pods of five servers at a time', { timeout: 120_000 }, async () => {
    const names = Array.from({ length: 8 }, (_, index) => `many-${index}`);
    await secret(namespace, 'shared', '1');
    for (const name of names) await world.server(namespace, name, { envFrom: [{ secretRef: { name: 'shared' } }] });
    for (const name of names) await world.ready(namespace, name);
    const before = await Promise.all(names.map(digest));
    await secret(namespace, 'shared', '2');
    const changed = async () => (await Promise.all(names.map(digest))).filter((value, index) => value !== before[index]).length;
    await until(async () => expect(await changed()).toBe(5));
    // Nobody plays the kubelet, so no rollout ends.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await changed()).toBe(5);
    await until(async () => {
      await world.runPods(namespace);
      expect(await changed()).toBe(8);
    });
  });

  it('never reads a Secret', async () => {
    const secrets = (await world.audit()).filter(({ resource }) => resource === 'secrets');
    expect(secrets.length).toBeGreaterThan(0);
    // It makes the keys of the guards, whose names are its own.
    const made = secrets.filter(({ verb, name }) => verb === 'create' && name.endsWith('-guard'));
    expect(secrets.filter((request) => !['list', 'watch'].includes(request.verb) && !made.includes(request))).toEqual([]);
  });
});

describe('without a right', () => {
  /** What it lacks, and a server that needs it: to make a child, and to find out what its pods read. */
  const cases: Record<string, readonly [verb: string, resource: string, name: string, spec: Partial<MCPServerSpecInput>]> = {
    'to write': ['patch', 'poddisruptionbudgets', 'two', { replicas: 2 }],
    'to read': [
      'get',
      'configmaps',
      'reading',
      { env: [{ name: 'REGION', valueFrom: { configMapKeyRef: { name: 'regions', key: 'home' } } }] },
    ],
  };
  it.each(Object.entries(cases))(
    '%s it says which one, and goes on when it is there',
    { timeout: 90_000 },
    async (_, [verb, resource, name, spec]) => {
      const namespace = await world.namespace(`powerless-${name}`);
      const role = JSON.parse(await world.kubectl(['get', 'clusterrole', 'mcp-fleet-operator', '-o', 'json'])) as {
        rules: { resources?: string[]; verbs: string[] }[];
      };
      const patch = (kind: string, called: string, change: object) =>
        world.kubectl(['patch', kind, called, '--type=merge', '-p', JSON.stringify(change)]);
      const withRules = (rules: object[]) => patch('clusterrole', 'mcp-fleet-operator', { rules });
      // What it may grant it holds as well.
      const account = { kind: 'ServiceAccount', name: 'mcp-fleet-operator', namespace: 'mcp-fleet-system' };
      const withGrantable = (subjects: object[]) => patch('clusterrolebinding', 'mcp-fleet-grantable', { subjects });
      const operator = await world.operator();
      try {
        await withGrantable([]);
        await withRules(
          role.rules.map((rule) =>
            rule.resources?.includes(resource) === true ? { ...rule, verbs: rule.verbs.filter((one) => one !== verb) } : rule,
          ),
        );
        const asked = ['auth', 'can-i', verb, resource, '--as=system:serviceaccount:mcp-fleet-system:mcp-fleet-operator', '-n', namespace];
        // It answers no by its exit code.
        await until(() => expect(world.kubectl(asked)).rejects.toThrow());
        await world.kubectl(['create', 'configmap', 'regions', '-n', namespace, '--from-literal=home=eu']);
        await world.server(namespace, name, spec);
        await until(async () =>
          expect(await world.condition(namespace, name, 'Reconciling')).toMatchObject({
            reason: 'Retrying',
            message: expect.stringContaining(`The operator lacks a right: ${resource}`),
          }),
        );
        await withRules(role.rules);
        await until(() => world.ready(namespace, name), 60_000);
      } finally {
        await withGrantable([account]);
        await withRules(role.rules);
        await operator.stop();
      }
    },
  );
});

describe('in named namespaces', () => {
  it('works there alone', async () => {
    for (const namespace of ['inside', 'outside']) await world.namespace(namespace);
    const operator = await world.operator({ namespaces: ['inside'] });
    try {
      await world.server('outside', 'unseen');
      await world.server('inside', 'seen', { kubernetesAccess: { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }] } });
      await world.ready('inside', 'seen');
      await world.get(Roles, { namespace: 'inside', name: 'seen' });
      await world.server('inside', 'reaching', { kubernetesAccess: { clusterRoles: ['view'], namespaces: ['outside'] } });
      await until(async () =>
        expect(await world.condition('inside', 'reaching', 'Accepted')).toMatchObject({ status: 'False', reason: 'AccessNotGrantable' }),
      );
      expect(await world.find(Services, { namespace: 'outside', name: 'unseen' })).toBeUndefined();
      // Guards that take a bundle with pins count as reconciling for a moment.
      await until(async () => {
        const { items } = await world.client.list(MCPServers, { namespace: 'inside' });
        expect(items.flatMap(kstatusViolations)).toEqual([]);
      });
    } finally {
      await operator.stop();
    }
  });
});
