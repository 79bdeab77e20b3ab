import { FIELD_MANAGER } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import type { MCPToolPolicy } from '../../../api/mcptoolpolicy.ts';
import { policyName } from '../../../mcp/policy/merge.ts';
import { tierOf } from '../../../mcp/policy/selection.ts';
import { type Key, keyOf, type KubeObject } from '../../kube/object.ts';
import type { Manager } from '../../runtime/manager.ts';
import type { ReconcileContext, Result } from '../../runtime/reconcile.ts';
import { type Channel, changedBySomebody, mapped, primary } from '../../runtime/source.ts';
import { StatusWriter } from '../../runtime/status.ts';
import type { Store } from '../../runtime/store.ts';
import type { Distribution } from '../mcpserver/distribution.ts';
import { hasGuard } from '../mcpserver/input.ts';
import type { Standings } from '../mcpserver/standing.ts';
import { By, MCPToolPolicies } from '../mcpserver/stores.ts';
import { Pace } from './pace.ts';
import { policyStatus, type PolicyTarget } from './status.ts';

export interface PolicyControllerParts {
  readonly manager: Manager;
  readonly servers: Store<MCPServer & KubeObject>;
  readonly policies: Store<MCPToolPolicy & KubeObject>;
  readonly standings: Standings;
  readonly distribution: Distribution;
  /** Woken with the key of a policy. */
  readonly woken: Channel;
  readonly operatorNamespace: string | undefined;
  readonly workers: number;
  readonly now: () => Date;
}

/** Adds what reports on MCPToolPolicies. Enforcing them is the business of the servers that they select. */
export function addMCPToolPolicyController(parts: PolicyControllerParts): void {
  const { manager, servers, policies, standings, distribution, woken, operatorNamespace, now } = parts;
  const statuses = new StatusWriter({ client: manager.client, resource: MCPToolPolicies, store: policies, fieldManager: FIELD_MANAGER });

  const pace = new Pace(() => performance.now());

  const reconcile = async (key: Key, { signal }: ReconcileContext): Promise<Result> => {
    const policy = policies.get(key);
    if (policy === undefined || policy.metadata.deletionTimestamp !== undefined) {
      pace.forget(key);
      return undefined;
    }
    const { generation = 0 } = policy.metadata;
    const after = pace.wait(key, generation);
    if (after > 0) return { after };
    const selected = serversOf(policy, servers, operatorNamespace);
    pace.took(key, generation, selected.length);
    // A process that has just started knows less than the status says. Whoever finds out wakes this policy.
    if (policy.status?.observedGeneration === policy.metadata.generation && !selected.every(isKnown)) return undefined;
    const targets = selected.map((server) => target(policy, server));
    await statuses.write(policy, policyStatus({ policy, operatorNamespace, targets, now: now() }), signal);
    return undefined;
  };

  const isKnown = (server: MCPServer & KubeObject): boolean => {
    const key = keyOf(server.metadata);
    const standing = standings.get(key);
    return standing !== undefined && (standing.compiled === undefined || !standing.guarded || distribution.state(key) !== undefined);
  };

  const target = (policy: MCPToolPolicy, server: MCPServer): PolicyTarget => {
    const { namespace = '', name } = server.metadata;
    const key = keyOf({ namespace, name });
    const standing = standings.get(key);
    const state = distribution.state(key);
    const identity = { namespace: policy.metadata.namespace ?? '', name: policy.metadata.name };
    const inForce = standing?.compiled?.policies.some(
      (entry) => entry.namespace === identity.namespace && entry.name === identity.name && entry.generation === policy.metadata.generation,
    );
    return {
      namespace,
      name,
      guarded: hasGuard(server),
      current: inForce === true && state?.digest === standing?.compiled?.digest && state !== undefined && state.current === state.total,
      warnings: standing?.compiled?.warnings.get(policyName(identity)) ?? [],
    };
  };

  manager.controller({
    name: 'mcptoolpolicy',
    workers: parts.workers,
    keys: () => policies.keys(),
    sources: [
      primary(policies),
      woken,
      mapped(
        servers,
        (server) => policiesOf(server, policies, operatorNamespace),
        (change) => !change.initial && changedBySomebody(change),
      ),
    ],
    reconciler: { reconcile },
  });
}

/** Servers that a policy selects. `servers` and `policies` are indexed by `By.Namespace`: with thousands of both nobody may look through all of them for each. */
export function serversOf<S extends MCPServer & KubeObject>(
  policy: MCPToolPolicy,
  servers: Store<S>,
  operatorNamespace: string | undefined,
): S[] {
  const { namespace = '' } = policy.metadata;
  const reachesOthers = policy.spec.namespaces !== undefined && namespace === operatorNamespace;
  const candidates = reachesOthers ? [...servers.values()] : servers.by(By.Namespace, namespace);
  return candidates.filter((server) => selects(policy, server, operatorNamespace));
}

/** The policies that may select a server: those of its namespace, and those of the operator's, which may reach others. */
export function candidatesFor<P extends MCPToolPolicy & KubeObject>(
  { metadata: { namespace = '' } }: MCPServer,
  policies: Store<P>,
  operatorNamespace: string | undefined,
): readonly P[] {
  const own = policies.by(By.Namespace, namespace);
  return operatorNamespace === undefined || operatorNamespace === namespace
    ? own
    : [...own, ...policies.by(By.Namespace, operatorNamespace)];
}

/** Keys of the policies that select a server. */
export const policiesOf = (server: MCPServer, policies: Store<MCPToolPolicy & KubeObject>, operatorNamespace: string | undefined): Key[] =>
  candidatesFor(server, policies, operatorNamespace)
    .filter((policy) => selects(policy, server, operatorNamespace))
    .map(({ metadata }) => keyOf(metadata));

function selects({ metadata, spec }: MCPToolPolicy, server: MCPServer, operatorNamespace: string | undefined): boolean {
  const { targetRefs, selector, namespaces } = spec;
  const policy = {
    namespace: metadata.namespace ?? '',
    ...(targetRefs && { targetRefs }),
    ...(selector && { selector }),
    ...(namespaces && { namespaces }),
  };
  const target = { namespace: server.metadata.namespace ?? '', name: server.metadata.name, labels: server.metadata.labels ?? {} };
  return tierOf(policy, target, operatorNamespace) !== undefined;
}
