import { FIELD_MANAGER, FINALIZER, Annotation, REPLICAS_FIELD_MANAGER } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { inventoryDigest } from '../../../mcp/digest.ts';
import type { Client } from '../../kube/client.ts';
import { type Key, keyOf, type KubeObject, parseKey } from '../../kube/object.ts';
import type { Children } from '../../runtime/children.ts';
import { type Condition, conditionOf } from '../../runtime/conditions.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import { addFinalizer, removeFinalizer } from '../../runtime/finalizers.ts';
import { foreignManagers, ownerFrom } from '../../runtime/ownership.ts';
import { type ReconcileContext, type Reconciler, type Result, WaitingError } from '../../runtime/reconcile.ts';
import type { StatusWriter } from '../../runtime/status.ts';
import { firstViolation, type Violation } from './acceptance.ts';
import { reachesBeyondNamespace } from './access.ts';
import { apiServerAddresses } from './apiserver.ts';
import { availability, isRolledOut } from './availability.ts';
import { children } from './children.ts';
import type { ConfigContents } from './configcontents.ts';
import type { Distribution } from './distribution.ts';
import { BundleSizeError, type Enforced, type Enforcement } from './enforcement.ts';
import { guardPods } from './guardreports.ts';
import { policyState } from './policystate.ts';
import type { Standings } from './standing.ts';
import { wantedReplicas } from './deployment.ts';
import { address, exposure } from './exposure.ts';
import { type ChildInput, type ChildSettings, hasGuard } from './input.ts';
import { type Note, notes } from './notes.ts';
import type { Reference } from './references.ts';
import { awaited, ownFailure, refusal } from './refusal.ts';
import type { DigestDecision, ReferenceRollouts } from './rollouts.ts';
import { noteText, status, toldNotes } from './status.ts';
import { By, MCPServers, type Stores } from './stores.ts';
import { listedTools, toolChanges, toolLists } from './tools.ts';
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
  /** What its guards should enforce, or why that cannot be brought into the form of a bundle. */
  readonly enforced: Enforced | BundleSizeError;
}

/** What came of an attempt to bring the children about. */
interface Attempt {
  readonly violation: Violation | undefined;
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

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: Key, context: ReconcileContext): Promise<Result> {
    const server = this.#options.stores.servers.get(key);
    if (server === undefined) {
      this.#forget(key);
      return undefined;
    }
    if (server.metadata.deletionTimestamp !== undefined) return this.#release(server, key, context.signal);

    const gathered = {
      server,
      key,
      references: this.#options.referencesOf(server),
      enforced: await this.#enforced(server, key, context.signal),
    };
    const violation = this.#violation(gathered);
    const attempt =
      violation === undefined ? await this.#converge(gathered, context.signal) : await this.#refuse(gathered, violation, context.signal);
    this.#verify(gathered, attempt);
    await this.#report(gathered, attempt, context.signal);
    if (attempt.error !== undefined) throw attempt.error;
    return attempt.after === undefined ? undefined : { after: attempt.after };
  }

  async #enforced(server: MCPServer & KubeObject, key: Key, signal: AbortSignal): Promise<Enforced | BundleSizeError> {
    try {
      return await this.#options.enforcement.of(server, key, signal);
    } catch (error) {
      if (error instanceof BundleSizeError) return error;
      throw error;
    }
  }

  #violation({ server, references, key, enforced }: Gathered): Violation | undefined {
    const { stores, settings } = this.#options;
    const { namespace = '' } = parseKey(key);
    if (enforced instanceof BundleSizeError) return { reason: 'InvalidSpec', message: enforced.message };
    return firstViolation({
      server,
      references,
      exists: ({ kind, name }) => stores.existing[kind]?.has(keyOf({ namespace, name })) ?? true,
      grantable: stores.grantable.values().next().value?.rules ?? (stores.grantable.size > 0 ? [] : undefined),
      grantableClusterRoles: settings.grantableClusterRoles,
      namespaces: settings.namespaces,
    });
  }

  /** Without a guard nothing may serve what was meant to have one. In all other cases what runs goes on running as it last made sense. */
  async #refuse({ server }: Gathered, violation: Violation, signal: AbortSignal): Promise<Attempt> {
    this.#options.standings.set(keyOf(server.metadata), { guarded: hasGuard(server), compiled: undefined });
    if (violation.reason === 'GuardRequired') await this.#options.children.converge(ownerFrom(server), [], signal);
    return { violation, error: undefined, retrying: undefined, after: undefined };
  }

  async #converge(gathered: Gathered, signal: AbortSignal): Promise<Attempt> {
    const { stores, client, children: owned, verifier, enforcement } = this.#options;
    const { server, key } = gathered;
    const enforced = gathered.enforced instanceof BundleSizeError ? undefined : gathered.enforced;
    const decision = await this.#digest(gathered, signal);
    const inventory = verifier.result(key)?.inventory;
    // Read only where there is something new to compare it with.
    const before = inventory === undefined || inventory.digest === server.status?.tools?.digest ? undefined : this.#listed(server, key);
    const stages = [
      ...children(this.#input(server, decision.digest, enforced)),
      ...(inventory === undefined ? [] : [toolLists(server, inventory)]),
    ];
    try {
      if (reachesBeyondNamespace(server))
        await addFinalizer(server, FINALIZER, { client, resource: MCPServers, store: stores.servers, signal });
      if (hasGuard(server)) await enforcement.ensureKeys(server, key, signal);
      await owned.converge(ownerFrom(server), stages, signal);
      this.#distribute(gathered, enforced);
    } catch (error) {
      const violation = refusal(error);
      if (violation !== undefined)
        return { violation, error: error instanceof WaitingError ? error : undefined, retrying: undefined, after: REFUSED_RETRY };
      const times = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, times);
      const retrying = ownFailure(error, times);
      if (retrying === undefined) throw awaited(error);
      return { violation, error, retrying, after: undefined };
    }
    this.#failures.delete(key);
    if (decision.restarts)
      this.#tell(
        server,
        'Normal',
        'Restarted',
        'Restart',
        'Pods are replaced, because what they read from ConfigMaps or Secrets has changed',
      );
    if (inventory !== undefined && before !== undefined) {
      for (const { change, note } of toolChanges(before, inventory.tools))
        this.#tell(server, change === 'ToolChanged' ? 'Warning' : 'Normal', change, 'Verify', note);
    }
    if (!reachesBeyondNamespace(server))
      await removeFinalizer(server, FINALIZER, { client, resource: MCPServers, store: stores.servers, signal });
    return { violation: undefined, error: undefined, retrying: undefined, after: decision.after };
  }

  /** The ConfigMap says what is to be enforced; now see to it that the guards take it. */
  #distribute({ key }: Gathered, enforced: Enforced | undefined): void {
    const { stores, distribution, standings } = this.#options;
    if (enforced === undefined) return;
    if (enforced.guarded) {
      const { digest, keysDigest } = enforced.compiled;
      distribution.track(key, { digest, keysDigest, pods: guardPods(stores.pods.by(By.Server, key)) });
    } else {
      distribution.forget(key);
    }
    standings.set(key, enforced);
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

  #input(server: MCPServer, configDigest: string | undefined, enforced: Enforced | undefined): ChildInput {
    const { stores, settings } = this.#options;
    return {
      server,
      settings,
      configDigest,
      replicas: wantedReplicas(server),
      apiServer: apiServerAddresses(stores.apiServerService.get('default/kubernetes'), stores.apiServerEndpoints.values()),
      bundle: enforced?.guarded === true ? { files: enforced.compiled.files, pinned: enforced.pinned } : undefined,
      has: { httpRoutes: stores.httpRoutes.served, podMonitors: stores.podMonitors.served },
    };
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

  async #report(gathered: Gathered, { violation, retrying }: Attempt, signal: AbortSignal): Promise<void> {
    const { stores, statuses, verifier, settings, now, distribution } = this.#options;
    const enforced = violation !== undefined || gathered.enforced instanceof BundleSizeError ? undefined : gathered.enforced;
    const { key } = gathered;
    // The finalizer may have changed it; otherwise it is the same.
    const server = stores.servers.get(key) ?? gathered.server;
    const deployment = stores.deployments.get(key);
    const remarks = violation === undefined ? this.#notes(gathered) : [];
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
    if (await statuses.write(server, next, signal)) this.#announce(server, remarks, next.conditions as readonly Condition[]);
  }

  #notes({ server, references, key, enforced }: Gathered): Note[] {
    const { stores, settings } = this.#options;
    const { namespace = '' } = parseKey(key);
    const deployment = stores.deployments.get(key);
    return notes({
      server,
      references,
      secretRotation: settings.secretRotation,
      keysStale: enforced instanceof BundleSizeError ? undefined : enforced.keysStale,
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

  /** Events tell what is new in a status, so that a restart of the operator tells nothing twice. */
  #announce(server: MCPServer & KubeObject, remarks: readonly Note[], conditions: readonly Condition[]): void {
    const told = toldNotes(server);
    for (const note of remarks) if (!told.includes(noteText(note))) this.#tell(server, 'Warning', note.reason, 'Reconcile', note.message);
    const before = conditionOf(server.status?.conditions as readonly Condition[] | undefined, 'Verified');
    const verified = conditionOf(conditions, 'Verified');
    if (before?.status === 'False' && verified?.status === 'True') this.#tell(server, 'Normal', 'Verified', 'Verify', verified.message);
    if (before?.status === 'True' && verified?.status === 'False')
      this.#tell(server, 'Warning', 'VerificationFailed', 'Verify', `${verified.reason}: ${verified.message}`);
    const retrying = conditionOf(conditions, 'Reconciling');
    const wasRetrying = conditionOf(server.status?.conditions as readonly Condition[] | undefined, 'Reconciling')?.reason === 'Retrying';
    if (retrying?.reason === 'Retrying' && !wasRetrying) this.#tell(server, 'Warning', 'ApplyFailed', 'Apply', retrying.message);
    const refused = conditionOf(conditions, 'Accepted');
    if (refused?.status === 'False' && !wasRefused(server)) this.#tell(server, 'Warning', refused.reason, 'Reconcile', refused.message);
  }

  #tell(server: MCPServer & KubeObject, type: 'Normal' | 'Warning', reason: string, action: string, note: string): void {
    this.#options.events.event(server, { type, reason, action, note });
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
    this.#options.standings.delete(key);
    this.#options.enforcement.forget(key);
  }
}

/** Whether the last status did not accept the server: then what it asked for has not been applied yet. */
const wasRefused = ({ status: before }: MCPServer): boolean =>
  conditionOf(before?.conditions as readonly Condition[] | undefined, 'Accepted')?.status === 'False';
