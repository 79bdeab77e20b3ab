import { FIELD_MANAGER, FINALIZER, Annotation, guardNames, REPLICAS_FIELD_MANAGER } from '../../../api/group.ts';
import { EventReason } from '../../../api/events.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { inventoryDigest } from '../../../mcp/digest.ts';
import { BUNDLE_FILES } from '../../../mcp/policy/bundle.ts';
import type { Client } from '../../kube/client.ts';
import { type Key, keyOf, type KubeObject, parseKey } from '../../kube/object.ts';
import type { Children } from '../../runtime/children.ts';
import type { Condition } from '../../runtime/conditions.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import type { Service } from '../../kube/wire.ts';
import { addFinalizer, removeFinalizer } from '../../runtime/finalizers.ts';
import { allOf } from '../../runtime/settled.ts';
import { foreignManagers, ownerFrom } from '../../runtime/ownership.ts';
import { type ReconcileContext, type Reconciler, type Result, WaitingError } from '../../runtime/reconcile.ts';
import type { StatusWriter } from '../../runtime/status.ts';
import { firstViolation, type Violation } from './acceptance.ts';
import { reachesBeyondNamespace } from './access.ts';
import { type Announcement, announcements, isTold, RESTARTED, toolAnnouncements, wasRefused } from './announcements.ts';
import { apiServerAddresses } from './apiserver.ts';
import { availability, isRolledOut } from './availability.ts';
import { type Bypasses, forbiddenPort } from './bypass.ts';
import { children } from './children.ts';
import type { ConfigContents } from './configcontents.ts';
import type { Distribution } from './distribution.ts';
import type { Enforced, Enforcement } from './enforcement.ts';
import { guardPods } from './guardreports.ts';
import { policyConfigMap } from './policyconfigmap.ts';
import { policyState, type Unenforced } from './policystate.ts';
import type { Standings } from './standing.ts';
import { wantedReplicas } from './deployment.ts';
import { address, exposure } from './exposure.ts';
import { type ChildInput, type ChildSettings, type GuardBundle, hasGuard } from './input.ts';
import { type Note, notes } from './notes.ts';
import type { Reference } from './references.ts';
import { awaited, ownFailure, refusal } from './refusal.ts';
import type { DigestDecision, ReferenceRollouts } from './rollouts.ts';
import { missingMetrics, Patience } from './scalingmetrics.ts';
import { status } from './status.ts';
import { targetService } from './target.ts';
import { By, MCPServers, type Stores } from './stores.ts';
import { listedTools, toolLists } from './tools.ts';
import { verificationState } from './verification.ts';
import type { Verifier } from './verifier.ts';
import { verifierTarget } from './verifiertarget.ts';
import { wanted, workload } from './workload.ts';
import type { Prober } from './prober.ts';

export interface ReconcilerOptions {
  readonly client: Client;
  readonly stores: Stores;
  readonly children: Children;
  readonly statuses: StatusWriter<MCPServer & KubeObject>;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly contents: ConfigContents;
  readonly rollouts: ReferenceRollouts;
  readonly verifier: Verifier;
  readonly prober: Prober;
  readonly enforcement: Enforcement;
  readonly distribution: Distribution;
  /** Absent where pods are not reached as others reach them. */
  readonly bypasses: Bypasses | undefined;
  /** Milliseconds that an autoscaler may miss metrics before it is told. */
  readonly metricsPatience: number;
  readonly standings: Standings;
  readonly settings: ChildSettings & {
    readonly grantableClusterRoles: readonly string[];
    readonly secretRotation: boolean;
    /** Those that are watched; all when empty. */
    readonly namespaces: readonly string[];
  };
  readonly referencesOf: (server: MCPServer) => readonly Reference[];
  readonly now: () => Date;
}

/** A server in its world, as far as the stores know it. */
interface Gathered {
  readonly server: MCPServer & KubeObject;
  readonly key: Key;
  readonly references: readonly Reference[];
}

/** What came of an attempt to bring the children about. */
interface Attempt {
  readonly violation: Violation | undefined;
  readonly enforced: Enforced | Unenforced;
  /** Rethrown after the report. */
  readonly error: unknown;
  /** What status says of an error that is not the user's. */
  readonly retrying: string | undefined;
  readonly after: number | undefined;
}

/** A refused object is asked for again from time to time: an administrator may have changed the quota or policy that refused it. */
const REFUSED_RETRY = 60_000;

/** Brings about what an MCPServer asks for and reports what came of it. */
export class MCPServerReconciler implements Reconciler {
  readonly #options: ReconcilerOptions;
  /** How often in a row the children of a server could not be applied. */
  readonly #failures = new Map<Key, number>();
  /** With autoscalers that miss metrics. */
  readonly #patience: Patience;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#patience = new Patience(options.metricsPatience, () => options.now().getTime());
  }

  async reconcile(key: Key, context: ReconcileContext): Promise<Result> {
    const server = this.#options.stores.servers.get(key);
    if (server === undefined) {
      this.#forget(key);
      return undefined;
    }
    if (server.metadata.deletionTimestamp !== undefined) return this.#release(server, key, context.signal);

    const gathered = { server, key, references: this.#options.referencesOf(server) };
    const attempt = await this.#attempt(gathered, context.signal);
    this.#verify(gathered, attempt);
    await this.#report(gathered, attempt, context.signal);
    if (attempt.error !== undefined) throw attempt.error;
    const waits = [attempt.after, this.#patience.left(key)].filter((wait) => wait !== undefined);
    return waits.length === 0 ? undefined : { after: Math.min(...waits) };
  }

  /** Brings about what is accepted. Throws what passes by itself. */
  async #attempt(gathered: Gathered, signal: AbortSignal): Promise<Attempt> {
    const { server, key } = gathered;
    const violation = this.#violation(gathered);
    let enforced: Enforced | Unenforced = 'Unknown';
    try {
      enforced = await this.#enforced(gathered, violation, signal);
      const after =
        violation === undefined
          ? await this.#converge(gathered, enforced, signal)
          : await this.#refuse(server, violation, enforced, signal);
      this.#failures.delete(key);
      return { violation, enforced, error: undefined, retrying: undefined, after };
    } catch (error) {
      const refused = violation === undefined ? refusal(error) : undefined;
      if (refused !== undefined)
        return {
          violation: refused,
          enforced,
          error: error instanceof WaitingError ? error : undefined,
          retrying: undefined,
          after: REFUSED_RETRY,
        };
      const times = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, times);
      const retrying = ownFailure(error, times);
      if (retrying === undefined && violation === undefined) throw awaited(error);
      return { violation, enforced, error: awaited(error), retrying, after: undefined };
    } finally {
      this.#distribute(gathered, enforced);
    }
  }

  async #enforced({ server, key }: Gathered, violation: Violation | undefined, signal: AbortSignal): Promise<Enforced | Unenforced> {
    const { enforcement, stores } = this.#options;
    if (violation?.reason === 'GuardRequired') return 'NothingRuns';
    return (await enforcement.of(server, key, violation === undefined, signal)) ?? (stores.deployments.has(key) ? 'Lost' : 'NothingRuns');
  }

  #violation({ server, references, key }: Gathered): Violation | undefined {
    const { stores, settings } = this.#options;
    const { namespace = '' } = parseKey(key);
    return firstViolation({
      server,
      references,
      exists: ({ kind, name }) => stores.existing[kind]?.has(keyOf({ namespace, name })) ?? true,
      grantable: stores.grantable.values().next().value?.rules ?? (stores.grantable.size > 0 ? [] : undefined),
      grantableClusterRoles: settings.grantableClusterRoles,
      namespaces: settings.namespaces,
    });
  }

  /**
   * Without a guard nothing may serve what was meant to have one. In all other cases what runs goes on running as it last made sense, and its guards go on
   * taking policies.
   */
  async #refuse(
    server: MCPServer & KubeObject,
    violation: Violation,
    enforced: Enforced | Unenforced,
    signal: AbortSignal,
  ): Promise<undefined> {
    const { children: owned, enforcement } = this.#options;
    if (violation.reason === 'GuardRequired') {
      enforcement.forget(keyOf(server.metadata));
      await owned.converge(ownerFrom(server), [], signal);
      return;
    }
    const policy = policyConfigMap({ server, bundle: bundleOf(enforced) });
    if (policy === undefined) return;
    await allOf([enforcement.ensureKeys(server, keyOf(server.metadata), signal), owned.apply(ownerFrom(server), [policy], signal)]);
  }

  /** Resolves with the milliseconds until there is more to do. */
  async #converge(gathered: Gathered, enforced: Enforced | Unenforced, signal: AbortSignal): Promise<number | undefined> {
    const { stores, client, children: owned, verifier, enforcement } = this.#options;
    const { server, key } = gathered;
    const decision = await this.#digest(gathered, signal);
    const inventory = verifier.result(key)?.inventory;
    // Read only where there is something new to compare it with.
    const before = inventory === undefined || inventory.digest === server.status?.tools?.digest ? undefined : this.#listed(server, key);
    const [first, second] = children(this.#input(server, decision.digest, enforced));
    const lists = inventory === undefined ? [] : toolLists(server, inventory);
    if (reachesBeyondNamespace(server))
      await addFinalizer(server, FINALIZER, { client, resource: MCPServers, store: stores.servers, signal });
    const owner = ownerFrom(server);
    await allOf([owned.apply(owner, first, signal), ...(hasGuard(server) ? [enforcement.ensureKeys(server, key, signal)] : [])]);
    await owned.apply(owner, second, signal);
    await owned.apply(owner, lists, signal);
    await owned.prune(owner, [...first, ...second, ...lists], signal);
    this.#tell(server, [
      ...(decision.restarts ? [RESTARTED] : []),
      ...(inventory === undefined || before === undefined ? [] : toolAnnouncements(before, inventory.tools)),
    ]);
    if (!reachesBeyondNamespace(server))
      await removeFinalizer(server, FINALIZER, { client, resource: MCPServers, store: stores.servers, signal });
    return decision.after;
  }

  /** The ConfigMap says what is to be enforced; now see to it that the guards take it, and say so where they do not, also when the ConfigMap was refused. */
  #distribute({ key, server }: Gathered, enforced: Enforced | Unenforced): void {
    const { stores, distribution, standings } = this.#options;
    if (enforced === 'Unknown') return;
    if (typeof enforced === 'string' || !enforced.guarded) distribution.forget(key);
    else {
      const { digest, keysDigest, files } = enforced.compiled;
      const { namespace = '', name } = server.metadata;
      const stored = stores.configMaps.get(keyOf({ namespace, name: guardNames(name).policy }))?.data;
      const written = [BUNDLE_FILES.bundle, BUNDLE_FILES.keys].every((file) => stored?.[file] === files[file]);
      distribution.track(key, { digest, keysDigest, written, pods: guardPods(stores.pods.by(By.Server, key)) });
    }
    standings.set(key, typeof enforced === 'string' ? { guarded: hasGuard(server), compiled: undefined } : enforced);
  }

  async #digest({ server, key, references }: Gathered, signal: AbortSignal): Promise<DigestDecision> {
    const { stores, contents, rollouts, settings } = this.#options;
    const { namespace = '' } = parseKey(key);
    const find = ({ kind, name }: Reference) => stores.existing[kind]?.get(keyOf({ namespace, name }));
    const current = await contents.digest(namespace, references, find, settings.secretRotation, signal);
    const live = stores.deployments.get(key);
    return rollouts.decide(key, {
      current,
      live: live?.spec?.template.metadata?.annotations?.[Annotation.ConfigDigest],
      exists: live !== undefined,
      specChanged: server.status?.observedGeneration !== server.metadata.generation || wasRefused(server),
      ignore: server.spec.rollout.onReferenceChange === 'Ignore',
      rolledOut: isRolledOut(live),
    });
  }

  #input(server: MCPServer, configDigest: string | undefined, enforced: Enforced | Unenforced): ChildInput {
    const { stores, settings } = this.#options;
    return {
      server,
      settings,
      configDigest,
      replicas: wantedReplicas(server),
      apiServer: apiServerAddresses(stores.apiServerService.get('default/kubernetes'), stores.apiServerEndpoints.values()),
      target: this.#target(server),
      bundle: bundleOf(enforced),
      has: { httpRoutes: stores.httpRoutes.served, podMonitors: stores.podMonitors.served },
    };
  }

  #target(server: MCPServer): Service | undefined {
    const { stores, settings } = this.#options;
    const name = targetService(server, settings.clusterDomain);
    return name === undefined ? undefined : stores.existing.Service.get(keyOf(name));
  }

  /** The inventory as the ConfigMaps have it, if they are as this operator left them. */
  #listed(server: MCPServer, key: Key): ReturnType<typeof listedTools> {
    const { configMaps } = this.#options.stores;
    const { namespace = '' } = parseKey(key);
    const listed = listedTools(server, (name) => configMaps.get(keyOf({ namespace, name })));
    return listed !== undefined && inventoryDigest(listed) === server.status?.tools?.digest ? listed : undefined;
  }

  /** Says what is to be verified, and when. The verification itself happens elsewhere and wakes this server when it has a result. */
  #verify({ server, key }: Gathered, { violation }: Attempt): void {
    const { stores, verifier, prober } = this.#options;
    const target = verifierTarget(server, stores.deployments.get(key), stores.pods.by(By.Server, key), prober);
    if (target === undefined || violation?.reason === 'GuardRequired') {
      verifier.pause(key);
      return;
    }
    verifier.track(key, target);
    if (verifier.result(key) !== undefined || server.status?.tools?.digest === undefined) return;
    // The lists were edited or deleted while this process knew no inventory to restore them from.
    if (this.#listed(server, key) === undefined) verifier.now(key);
  }

  async #report(gathered: Gathered, { violation, enforced, retrying }: Attempt, signal: AbortSignal): Promise<void> {
    const { stores, statuses, verifier, settings, now, distribution } = this.#options;
    const { key } = gathered;
    // The finalizer may have changed it; otherwise it is the same.
    const server = stores.servers.get(key) ?? gathered.server;
    const deployment = stores.deployments.get(key);
    const remarks = violation === undefined ? this.#notes(gathered, enforced) : [];
    const next = status({
      server,
      violation,
      notes: remarks,
      deployment,
      availability: availability(workload(stores, key), wanted(server)),
      verification: verificationState(server, verifier.result(key)),
      exposure: exposure(server, {
        service: stores.services.get(key),
        ingress: stores.ingresses.get(key),
        httpRoute: stores.httpRoutes.get(key),
        hasHTTPRoutes: stores.httpRoutes.served,
      }),
      address: address(server, settings.clusterDomain),
      policy: policyState(server, enforced, distribution.state(key)),
      retrying,
      now: now(),
    });
    const news = announcements(server, remarks, next.conditions as readonly Condition[]);
    if (await statuses.write(server, next, signal)) this.#tell(server, news);
  }

  #notes({ server, references, key }: Gathered, enforced: Enforced | Unenforced): Note[] {
    const { stores, settings } = this.#options;
    const { namespace = '' } = parseKey(key);
    const deployment = stores.deployments.get(key);
    return notes({
      server,
      bypass: this.#bypass(server, key, enforced),
      missingMetrics: this.#missingMetrics(server, key),
      references,
      secretRotation: settings.secretRotation,
      keysStale: typeof enforced === 'string' ? undefined : enforced.keysStale,
      rulesOf: (name) => stores.bindable.get(name)?.get(name)?.rules,
      writersOf: (claim) =>
        stores.servers
          .by(By.Claim, keyOf({ namespace, name: claim }))
          .map(({ metadata }) => metadata.name)
          .filter((name) => name !== server.metadata.name)
          .toSorted(),
      foreignManagers: deployment === undefined ? [] : foreignManagers(deployment, { own: [FIELD_MANAGER, REPLICAS_FIELD_MANAGER] }),
    });
  }

  /** The port at which what is enforced can be got around, as far as that was tried. */
  #bypass(server: MCPServer, key: Key, enforced: Enforced | Unenforced): number | undefined {
    const { bypasses, stores } = this.#options;
    if (enforced === 'Unknown') return bypasses?.openPort(key);
    const { policies, bundle } = typeof enforced === 'string' ? { policies: [], bundle: undefined } : enforced.compiled;
    const port = forbiddenPort(server, { policies: policies.length, ambient: bundle?.policy.ambient ?? 'Allow' });
    if (port === undefined) {
      bypasses?.forget(key);
      return undefined;
    }
    const addresses = guardPods(stores.pods.by(By.Server, key)).flatMap(({ ready, address }) => (ready ? [address] : []));
    bypasses?.track(key, { port, addresses, told: isTold(server, EventReason.BypassPossible) });
    return bypasses?.openPort(key);
  }

  #missingMetrics(server: MCPServer, key: Key): string | undefined {
    const missing = missingMetrics(server, this.#options.stores.autoscalers.get(key));
    return this.#patience.isOver(key, missing !== undefined, isTold(server, EventReason.MetricsMissing)) ? missing : undefined;
  }

  #tell(server: MCPServer & KubeObject, news: readonly Announcement[]): void {
    for (const announcement of news) this.#options.events.event(server, announcement);
  }

  /** Children in the namespace go with their owner. What no owner reference can hold is removed here, before the server goes. */
  async #release(server: MCPServer & KubeObject, key: Key, signal: AbortSignal): Promise<Result> {
    const { children: owned, client, stores } = this.#options;
    this.#forget(key);
    if (server.metadata.finalizers?.includes(FINALIZER) !== true) return undefined;
    const left = await owned.remove(ownerFrom(server), signal, ({ metadata }) => metadata.namespace !== server.metadata.namespace);
    if (left > 0) throw new WaitingError(`${left} bindings are still being deleted`, 1_000);
    await removeFinalizer(server, FINALIZER, { client, resource: MCPServers, store: stores.servers, signal });
    return undefined;
  }

  #forget(key: Key): void {
    this.#options.verifier.forget(key);
    this.#options.rollouts.forget(key);
    this.#failures.delete(key);
    this.#options.distribution.forget(key);
    this.#options.bypasses?.forget(key);
    this.#patience.forget(key);
    this.#options.standings.delete(key);
    this.#options.enforcement.forget(key);
  }
}

const bundleOf = (enforced: Enforced | Unenforced): GuardBundle | undefined =>
  typeof enforced === 'string' || !enforced.guarded
    ? undefined
    : { files: enforced.compiled.files, headers: enforced.headers, pinned: enforced.pinned };
