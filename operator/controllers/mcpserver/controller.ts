import { Annotation, FIELD_MANAGER, guardNames } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { type Key, keyOf, type KubeObject, parseKey } from '../../kube/object.ts';
import {
  ClusterRoleBindings,
  ClusterRoles,
  ConfigMaps,
  Deployments,
  HorizontalPodAutoscalers,
  HTTPRoutes,
  Ingresses,
  NetworkPolicies,
  PodDisruptionBudgets,
  PodMonitors,
  RoleBindings,
  Roles,
  ServiceAccounts,
  Services,
} from '../../kube/resources.ts';
import type { ConfigMap, Deployment } from '../../kube/wire.ts';
import { type AnyChildKind, type ChildKind, Children } from '../../runtime/children.ts';
import { UID_INDEX } from '../../runtime/ownership.ts';
import type { Manager } from '../../runtime/manager.ts';
import { handOverReplicas } from '../../runtime/replicas.ts';
import {
  Channel,
  changed,
  changedAsKept,
  changedBySomebody,
  mapped,
  owned,
  primary,
  type Source,
  whenServed,
} from '../../runtime/source.ts';
import { StatusWriter } from '../../runtime/status.ts';
import type { Change, Store } from '../../runtime/store.ts';
import type { Ambient } from '../../../mcp/policy/bundle.ts';
import { downloader } from '../issuer/download.ts';
import { Issuers, type IssuersOptions } from '../issuer/issuers.ts';
import { keyFetcher } from '../issuer/source.ts';
import { UnknownKeys } from '../issuer/unknownkeys.ts';
import { addMCPToolPolicyController, policiesOf, serversOf } from '../mcptoolpolicy/controller.ts';
import { Bypasses, type Reach } from './bypass.ts';
import { isNameOfChild } from './childname.ts';
import { ConfigContents } from './configcontents.ts';
import { Distribution } from './distribution.ts';
import { Enforcement } from './enforcement.ts';
import { guardPods, type GuardReader } from './guardreports.ts';
import { METRICS_PATIENCE_MS } from './scalingmetrics.ts';
import { Standings } from './standing.ts';
import { deployment } from './deployment.ts';
import type { ChildInput, ChildSettings } from './input.ts';
import { keyReferences, ServerKeys } from './issuerkeys.ts';
import { ownerOfClusterName } from './names.ts';
import type { Prober } from './prober.ts';
import { MCPServerReconciler } from './reconciler.ts';
import { type Reference, references, serviceReference } from './references.ts';
import { ReferenceRollouts } from './rollouts.ts';
import { By, MCPServers, podOfEvent, referenceKey, serverOfOwnPod, serverOfPod, type Stores, watchStores } from './stores.ts';
import { targetService } from './target.ts';
import { isToolList } from './tools.ts';
import { systemClock, Verifier, type VerifierOptions } from './verifier.ts';

export interface ControllerSettings extends ChildSettings {
  /** What holds for servers that no policy selects. */
  readonly ambient: Ambient;
  /** ClusterRoles that `kubernetesAccess.clusterRoles` may name. */
  readonly grantableClusterRoles: readonly string[];
  /** Whether Secrets are watched, by their metadata. */
  readonly secretRotation: boolean;
  /** Hosts that the keys of issuers may be fetched from although their address is private. */
  readonly privateIssuers: readonly string[];
  /** Those that are watched; all when empty. */
  readonly namespaces: readonly string[];
  /** Reconciles at a time. */
  readonly workers: number;
  /** Verifications at a time. */
  readonly verifications: number;
}

export interface ControllerParts {
  readonly manager: Manager;
  readonly prober: Prober;
  readonly readGuard: GuardReader;
  /** Tries a port of a pod. Absent where the operator is not in the cluster: what it reaches says nothing about others. */
  readonly reach?: Reach;
  /** Milliseconds that an autoscaler may miss metrics before it is told. Default: three minutes. */
  readonly metricsPatience?: number;
  readonly settings: ControllerSettings;
  /** For metrics. */
  readonly onVerified?: VerifierOptions['onVerified'];
  readonly onVerifierError: VerifierOptions['onError'];
  readonly onIssuerFetched?: IssuersOptions['onFetched'];
  readonly onIssuerError: IssuersOptions['onError'];
}

/** Adds everything about MCPServers to a manager. Returns what the tests look into. */
export function addMCPServerController(parts: ControllerParts): {
  readonly stores: Stores;
  readonly verifier: Verifier;
  readonly distribution: Distribution;
  readonly issuers: Issuers;
} {
  const { manager, prober, readGuard, settings, onVerified, onVerifierError } = parts;
  const { client } = manager;
  const referencesOf = referenceFinder(settings);
  const stores = watchStores(manager, {
    secretRotation: settings.secretRotation,
    clusterRoles: settings.grantableClusterRoles,
    referenceKeys: (server) => {
      const target = targetService(server, settings.clusterDomain);
      const own = referencesOf(server).filter(({ kind }) => kind !== 'Service');
      return [
        ...own.map(({ kind, name }) => referenceKey(kind, server.metadata.namespace ?? '', name)),
        ...(target === undefined ? [] : [referenceKey('Service', target.namespace, target.name)]),
      ];
    },
  });
  const verified = new Channel();
  const verifier = new Verifier({
    clock: systemClock,
    random: Math.random,
    concurrency: settings.verifications,
    onResult: (key) => verified.wake(key),
    onError: onVerifierError,
    ...(onVerified !== undefined && { onVerified }),
  });
  const policiesWoken = new Channel();
  const tellPolicies = (key: Key): void => {
    const server = stores.servers.get(key);
    if (server === undefined) return;
    for (const policy of policiesOf(server, stores.policies, settings.operatorNamespace)) policiesWoken.wake(policy);
  };
  const distribution = new Distribution({
    client,
    read: readGuard,
    clock: systemClock,
    onChange: (key) => {
      verified.wake(key);
      tellPolicies(key);
    },
    onError: onVerifierError,
  });
  const issuers = tokenIssuers(parts, stores, (key) => verified.wake(key));
  const bypasses =
    parts.reach === undefined
      ? undefined
      : new Bypasses({ reach: parts.reach, clock: systemClock, random: Math.random, onChange: (key) => verified.wake(key) });
  const standings = new Standings(tellPolicies);
  const contents = new ConfigContents(client);
  stores.existing.ConfigMap.subscribe(({ key, new: next }) => {
    if (next === undefined) contents.forget(key);
  });
  manager.controller({
    name: 'mcpserver',
    workers: settings.workers,
    keys: () => stores.servers.keys(),
    sources: sources(stores, verified, settings.operatorNamespace),
    reconciler: new MCPServerReconciler({
      client,
      stores,
      children: new Children({
        client,
        fieldManager: FIELD_MANAGER,
        annotation: Annotation.AppliedDigest,
        kinds: childKinds(stores, verifier),
        canBe: ({ metadata }, owner) => isNameOfChild(metadata, parseKey(owner.key)),
        lives: (uid) => stores.servers.by(UID_INDEX, uid).length > 0,
        onAdopted: ({ key }, { kind, metadata }) => {
          const server = stores.servers.get(key);
          const note = `${kind} ${keyOf(metadata)} had lost its owner and is taken over`;
          if (server !== undefined) manager.events.event(server, { type: 'Normal', reason: 'Adopted', action: 'Apply', note });
        },
      }),
      statuses: new StatusWriter({ client, resource: MCPServers, store: stores.servers, fieldManager: FIELD_MANAGER }),
      events: manager.events,
      contents,
      rollouts: new ReferenceRollouts(() => performance.now()),
      verifier,
      prober,
      enforcement: new Enforcement({
        client,
        stores,
        serverKeys: new ServerKeys(client, issuers, stores.existing.ConfigMap),
        settings,
        inventory: (key) => verifier.result(key)?.inventory,
        now: () => new Date(),
      }),
      distribution,
      bypasses,
      metricsPatience: parts.metricsPatience ?? METRICS_PATIENCE_MS,
      standings,
      settings,
      referencesOf,
      now: () => new Date(),
    }),
  });
  addMCPToolPolicyController({
    manager,
    servers: stores.servers,
    policies: stores.policies,
    standings,
    distribution,
    woken: policiesWoken,
    operatorNamespace: settings.operatorNamespace,
    workers: settings.workers,
    now: () => new Date(),
  });
  const stop = (): Promise<void> => {
    verifier.stop();
    distribution.stop();
    bypasses?.stop();
    return Promise.resolve();
  };
  manager.add({ name: 'verifier', start: () => Promise.resolve(), stop });
  return { stores, verifier, distribution, issuers };
}

/** Fetches keys for all servers that take tokens, and asks their guards which keys they miss. */
function tokenIssuers(parts: ControllerParts, stores: Stores, onChange: (key: Key) => void): Issuers {
  const { manager, readGuard, settings, onIssuerFetched, onIssuerError } = parts;
  const issuers = new Issuers({
    fetch: keyFetcher(manager.client, downloader({ ...settings, service: (key) => stores.existing.Service.get(key) })),
    clock: systemClock,
    random: Math.random,
    onChange,
    onError: onIssuerError,
    ...(onIssuerFetched !== undefined && { onFetched: onIssuerFetched }),
  });
  const unknown = new UnknownKeys({
    guards: () =>
      [...issuers.servers].flatMap((server) => {
        const of = issuers.of(server);
        return guardPods(stores.pods.by(By.Server, server)).map((pod) => ({ pod, server, issuers: of }));
      }),
    read: readGuard,
    clock: systemClock,
    onUnknown: (server, issuer) => issuers.refresh(server, issuer),
  });
  const stop = (): Promise<void> => {
    unknown.stop();
    issuers.stop();
    return Promise.resolve();
  };
  manager.add({ name: 'issuers', start: () => unknown.start(), stop });
  return issuers;
}

/** What a server refers to, worked out once per version of it. */
function referenceFinder(settings: ChildSettings): (server: MCPServer) => readonly Reference[] {
  const known = new WeakMap<MCPServer, readonly Reference[]>();
  return (server) => {
    const found = known.get(server) ?? [
      ...references(podOf(server, settings), server.metadata.name),
      ...keyReferences(server),
      ...serviceReference(server),
    ];
    known.set(server, found);
    return found;
  };
}

const podOf = (server: MCPServer, settings: ChildSettings) =>
  deployment(inputFor(server, settings))?.spec?.template.spec ?? { containers: [] };

/** What references do not depend on is left out. */
const inputFor = (server: MCPServer, settings: ChildSettings): ChildInput => ({
  server,
  settings,
  configDigest: undefined,
  replicas: undefined,
  apiServer: { clusterIPs: [], servicePort: 443, endpoints: [] },
  target: undefined,
  bundle: undefined,
  has: { httpRoutes: false, podMonitors: false },
});

function childKinds(stores: Stores, verifier: Verifier): AnyChildKind[] {
  const deployments: ChildKind<Deployment> = {
    resource: Deployments,
    store: stores.deployments,
    beforeApply: async (live, desired, { client, signal }) => {
      if ((desired as Deployment).spec?.replicas !== undefined) return;
      const minReplicas = stores.servers.get(keyOf(live.metadata))?.spec.autoscaling?.minReplicas ?? 1;
      await handOverReplicas(live, { client, resource: Deployments, fieldManager: FIELD_MANAGER, minReplicas, signal });
    },
  };
  const configMaps: ChildKind<ConfigMap> = {
    resource: ConfigMaps,
    store: stores.configMaps,
    exact: ['data'],
    // An inventory stays until this process has one of its own to compare it with.
    mayPrune: (configMap) => {
      const [key] = serverOfPod(configMap);
      return (
        key === undefined ||
        !isToolList(stores.servers.get(key)?.metadata.name ?? '', configMap.metadata.name) ||
        verifier.result(key)?.inventory !== undefined
      );
    },
  };
  return [
    deployments,
    configMaps,
    { resource: Services, store: stores.services },
    { resource: ServiceAccounts, store: stores.serviceAccounts },
    { resource: Roles, store: stores.roles, exact: ['rules'] },
    { resource: RoleBindings, store: stores.roleBindings, exact: ['subjects'] },
    { resource: ClusterRoles, store: stores.clusterRoles, exact: ['rules'] },
    { resource: ClusterRoleBindings, store: stores.clusterRoleBindings, exact: ['subjects'] },
    { resource: HorizontalPodAutoscalers, store: stores.autoscalers },
    { resource: PodDisruptionBudgets, store: stores.disruptionBudgets },
    { resource: NetworkPolicies, store: stores.networkPolicies, exact: ['spec'] },
    { resource: Ingresses, store: stores.ingresses },
    { resource: HTTPRoutes, store: stores.httpRoutes },
    { resource: PodMonitors, store: stores.podMonitors },
  ] as AnyChildKind[];
}

/** Everything that can change what a server's children or status should be. */
function sources(stores: Stores, verified: Channel, operatorNamespace: string | undefined): Source[] {
  const { servers, existing, pods, policies } = stores;
  const all = () => servers.keys();
  const withAccess = () =>
    [...servers.values()].filter(({ spec }) => spec.kubernetesAccess !== undefined).map(({ metadata }) => keyOf(metadata));
  const referring = (kind: string) => (object: KubeObject) =>
    servers
      .by(By.Reference, referenceKey(kind, object.metadata.namespace ?? '', object.metadata.name))
      .map(({ metadata }) => keyOf(metadata));
  const ownedKinds: readonly Store[] = [
    stores.deployments,
    stores.services,
    stores.serviceAccounts,
    stores.configMaps,
    stores.roles,
    stores.roleBindings,
    stores.autoscalers,
    stores.disruptionBudgets,
    stores.networkPolicies,
    stores.ingresses,
    stores.httpRoutes,
    stores.podMonitors,
  ];
  // Of these the stores leave out what changes all the time.
  const isSlim = (store: Store) => store === stores.autoscalers || store === stores.disruptionBudgets;
  const foreign: readonly Store[] = [stores.roles, stores.roleBindings, stores.clusterRoles, stores.clusterRoleBindings];
  return [
    primary(servers),
    verified,
    ...ownedKinds.map((store) => owned(store, 'MCPServer', isSlim(store) ? changedAsKept : changed)),
    // Those without an owner reference say in their name whose they are; one whose reference was removed says it in its label.
    ...foreign.map((store) => mapped(store, ownerByName, byOthers)),
    ...ownedKinds.map((store) => mapped(store, withoutOwner, byOthers)),
    mapped(pods, serverOfOwnPod),
    mapped(
      policies,
      (policy) => serversOf(policy, servers, operatorNamespace).map(({ metadata }) => keyOf(metadata)),
      (change) => !change.initial && changedBySomebody(change),
    ),
    mapped(existing.ConfigMap, serverOfPins, notInitial),
    mapped(stores.warnings, (event) => podOfEvent(event).flatMap((key) => serversOfPod(pods.get(key)))),
    ...(['ConfigMap', 'PersistentVolumeClaim', 'ServiceAccount', 'Secret', 'Service'] as const).flatMap((kind) => {
      const store = existing[kind];
      return store === undefined ? [] : [mapped(store, referring(kind), notInitial)];
    }),
    ...[stores.grantable, ...stores.bindable.values()].map((store) => mapped(store as Store, withAccess, notInitial)),
    mapped(stores.apiServerService, withAccess, notInitial),
    mapped(stores.apiServerEndpoints, withAccess, notInitial),
    whenServed(stores.httpRoutes, all),
    whenServed(stores.podMonitors, all),
  ];
}

const serversOfPod = (pod: KubeObject | undefined): readonly Key[] => (pod === undefined ? [] : serverOfOwnPod(pod));

/** The ConfigMap with pins may be anybody's: only its name tells. */
const serverOfPins = ({ metadata: { namespace = '', name } }: KubeObject): readonly Key[] =>
  name.endsWith(PINS_SUFFIX) ? [keyOf({ namespace, name: name.slice(0, -PINS_SUFFIX.length) })] : [];

const PINS_SUFFIX = guardNames('').pins;

const ownerByName = ({ metadata }: KubeObject): readonly Key[] => {
  const owner = ownerOfClusterName(metadata.name);
  return owner === undefined ? [] : [keyOf(owner)];
};

const withoutOwner = (object: KubeObject): readonly Key[] =>
  (object.metadata.ownerReferences ?? []).length === 0 && ownerByName(object).length === 0 ? serverOfPod(object) : [];

/** Our own answers wake nobody. */
const byOthers = (change: Change<KubeObject>): boolean => !change.written && changed(change);

/** Every server is reconciled at the start anyway, after all caches are complete. */
const notInitial = (change: Change<KubeObject>): boolean => !change.initial && changed(change);
