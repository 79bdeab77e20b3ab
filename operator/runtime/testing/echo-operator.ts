import type { Logger } from 'pino';
import { Client } from '../../kube/client.ts';
import type { Credentials } from '../../kube/credentials.ts';
import type { Key, KubeObject } from '../../kube/object.ts';
import {
  ConfigMaps,
  CustomResourceDefinitions,
  Deployments,
  NetworkPolicies,
  namespaced,
  RoleBindings,
  Roles,
  type Untyped,
} from '../../kube/resources.ts';
import { type Observation, Transport } from '../../kube/transport.ts';
import type { ConfigMap, Deployment, NetworkPolicy, Role, RoleBinding } from '../../kube/wire.ts';
import { Children, type Desired } from '../children.ts';
import { type Condition, type ConditionUpdate, withConditions } from '../conditions.ts';
import { Manager, type ManagerOptions } from '../manager.ts';
import { compactManagers, foreignManagers, NameConflict, OWNER_INDEX, ownerFrom, ownerIndex } from '../ownership.ts';
import type { ReconcileContext, Result } from '../reconcile.ts';
import { handOverReplicas } from '../replicas.ts';
import { owned, primary } from '../source.ts';
import { StatusWriter } from '../status.ts';
import type { Store } from '../store.ts';

/** A whole operator in one file: what the runtime's tests run, and what a reader may start from. */
export interface Echo extends KubeObject {
  readonly spec: {
    readonly text: string;
    /** Left out: an autoscaler's. */
    readonly replicas?: number;
    readonly env?: Readonly<Record<string, string>>;
    /** Also a Role and its binding, and a NetworkPolicy. */
    readonly guarded?: boolean;
  };
  readonly status?: { readonly observedGeneration: number; readonly conditions: readonly Condition[] };
}

export const Echoes = namespaced<Echo>('example.dev/v1', 'Echo', 'echoes');
/** Nobody installs it but the test of kinds that appear later. */
export const Mirrors = namespaced<Untyped>('example.dev/v1', 'Mirror', 'mirrors');

export const FIELD_MANAGER = 'echo-operator';
export const APPLIED = 'example.dev/applied';
const LABELS = { 'app.kubernetes.io/managed-by': FIELD_MANAGER };

export const definition = (kind: string, plural: string): Untyped => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.example.dev` },
  spec: {
    group: 'example.dev',
    scope: 'Namespaced',
    names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
});

/** Installs a kind and waits until it is served. */
export async function install(client: Client, kind: string, plural: string, signal: AbortSignal): Promise<void> {
  const crd = definition(kind, plural);
  await client.apply(CustomResourceDefinitions, crd, { fieldManager: 'test', signal });
  for (;;) {
    const { status } = await client.get(CustomResourceDefinitions, crd.metadata, { signal });
    const conditions = (status?.['conditions'] ?? []) as readonly Condition[];
    if (conditions.some(({ type, status: value }) => type === 'Established' && value === 'True')) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

export function echo(name: string, spec: Partial<Echo['spec']> = {}, namespace = 'default'): Echo {
  return { apiVersion: 'example.dev/v1', kind: 'Echo', metadata: { name, namespace }, spec: { text: 'hello', ...spec } };
}

const metadataOf = ({ metadata }: Echo): { name: string; namespace: string; labels: typeof LABELS } => ({
  name: metadata.name,
  namespace: metadata.namespace ?? '',
  labels: LABELS,
});

const configMap = (object: Echo): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: metadataOf(object),
  data: { text: object.spec.text },
});

export const deployment = (object: Echo): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: metadataOf(object),
  spec: {
    ...(object.spec.replicas !== undefined && { replicas: object.spec.replicas }),
    selector: { matchLabels: { echo: object.metadata.name } },
    template: {
      metadata: { labels: { echo: object.metadata.name } },
      spec: {
        containers: [
          {
            name: 'echo',
            image: 'example.dev/echo:1',
            env: Object.entries(object.spec.env ?? {}).map(([name, value]) => ({ name, value })),
            ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
            resources: { requests: { cpu: '10m', memory: '16Mi' } },
          },
        ],
      },
    },
  },
});

const role = (object: Echo): Role => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata: metadataOf(object),
  rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
});

const roleBinding = (object: Echo): RoleBinding => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: metadataOf(object),
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: object.metadata.name },
  subjects: [{ kind: 'ServiceAccount', name: object.metadata.name, namespace: object.metadata.namespace ?? '' }],
});

const networkPolicy = (object: Echo): NetworkPolicy => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: metadataOf(object),
  spec: {
    podSelector: { matchLabels: { echo: object.metadata.name } },
    policyTypes: ['Ingress', 'Egress'],
    egress: [{ ports: [{ port: 53, protocol: 'UDP' }] }],
  },
});

export interface EchoOperator {
  readonly manager: Manager;
  readonly transport: Transport;
  /** Not fenced. */
  readonly client: Client;
  readonly echoes: Store<Echo>;
  readonly deployments: Store<Deployment>;
  readonly configMaps: Store<ConfigMap>;
  readonly mirrors: Store<Untyped>;
  /** Mutating requests since the start, as `PATCH 200 /path`. */
  readonly writes: string[];
  readonly requests: Observation[];
  readonly reconciled: Key[];
  stop(): Promise<void>;
}

export function echoOperator(
  credentials: Credentials,
  log: Logger,
  options: Partial<Omit<ManagerOptions, 'client' | 'log'>> & { readonly watchIdle?: number; readonly pace?: number } = {},
): EchoOperator {
  const writes: string[] = [];
  const requests: Observation[] = [];
  const reconciled: Key[] = [];
  const { watchIdle, pace = 0, ...rest } = options;
  const transport = new Transport({
    credentials,
    userAgent: `echo-operator/1.0 ${rest.identity ?? ''}`.trim(),
    ...(watchIdle !== undefined && { watchIdle }),
    observer: {
      finished: (observation) => {
        requests.push(observation);
        const { method, code, path } = observation;
        if (method !== 'GET' && !path.includes('/leases')) writes.push(`${method} ${code} ${path.split('?', 1)[0]}`);
      },
    },
  });
  const client = new Client(transport);
  const manager = new Manager({ client, log, name: 'example.dev/echo-operator', freeze: process.env['VITEST'] !== undefined, ...rest });
  const ours = { labelSelector: `app.kubernetes.io/managed-by=${FIELD_MANAGER}`, indexes: { [OWNER_INDEX]: ownerIndex(APPLIED) } };
  const echoes = manager.watch(Echoes);
  const configMaps = manager.watch(ConfigMaps, ours);
  const deployments = manager.watch(Deployments, { ...ours, transform: compactManagers<Deployment>([FIELD_MANAGER]) });
  const roles = manager.watch(Roles, ours);
  const roleBindings = manager.watch(RoleBindings, ours);
  const networkPolicies = manager.watch(NetworkPolicies, ours);
  const mirrors = manager.watch(Mirrors, { optional: true });
  const children = new Children({
    client: manager.client,
    fieldManager: FIELD_MANAGER,
    annotation: APPLIED,
    kinds: [
      { resource: ConfigMaps, store: configMaps },
      {
        resource: Deployments,
        store: deployments,
        beforeApply: async (live, desired, { signal }) => {
          if ((desired as Deployment).spec?.replicas !== undefined) return;
          await handOverReplicas(live as Deployment, {
            client: manager.client,
            resource: Deployments,
            fieldManager: FIELD_MANAGER,
            signal,
          });
        },
      },
      { resource: Roles, store: roles, exact: ['rules'] },
      { resource: RoleBindings, store: roleBindings, exact: ['subjects'], recreate: true },
      { resource: NetworkPolicies, store: networkPolicies, exact: ['spec'] },
    ],
  });
  const statuses = new StatusWriter({ client: manager.client, resource: Echoes, store: echoes, fieldManager: FIELD_MANAGER });

  const reconcile = async (key: Key, { signal }: ReconcileContext): Promise<Result> => {
    reconciled.push(key);
    const object = echoes.get(key);
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return undefined;
    const guards: Desired[] = object.spec.guarded === true ? [role(object), roleBinding(object), networkPolicy(object)] : [];
    const report = async (...updates: ConditionUpdate[]): Promise<void> => {
      const generation = object.metadata.generation ?? 0;
      const conditions = withConditions(object.status?.conditions, updates, generation, new Date());
      await statuses.write(object, { observedGeneration: generation, conditions }, signal);
    };
    try {
      await children.converge(ownerFrom(object), [[configMap(object), ...guards], [deployment(object)]], signal);
    } catch (error) {
      if (error instanceof NameConflict) {
        await report(
          { type: 'Ready', status: 'False', reason: 'NameConflict', message: error.message },
          { type: 'Stalled', status: 'True', reason: 'NameConflict', message: error.message },
        );
      }
      throw error;
    }
    const live = deployments.get(key);
    const foreign = live === undefined ? [] : foreignManagers(live, { own: [FIELD_MANAGER] });
    await report(
      { type: 'Ready', status: 'True', reason: 'Converged', message: 'all children are as asked' },
      foreign.length === 0
        ? { type: 'ForeignFields', status: 'False', reason: 'None', message: '' }
        : { type: 'ForeignFields', status: 'True', reason: 'Found', message: foreign.join(', ') },
    );
    return pace > 0 ? { after: pace } : undefined;
  };

  manager.controller({
    name: 'echo',
    reconciler: { reconcile },
    keys: () => echoes.keys(),
    sources: [
      primary(echoes),
      owned(configMaps, 'Echo'),
      owned(deployments, 'Echo'),
      owned(roles, 'Echo'),
      owned(roleBindings, 'Echo'),
      owned(networkPolicies, 'Echo'),
    ],
  });
  return {
    manager,
    transport,
    client,
    echoes,
    deployments,
    configMaps,
    mirrors,
    writes,
    requests,
    reconciled,
    stop: async () => {
      await manager.stop();
      await transport.close();
    },
  };
}
