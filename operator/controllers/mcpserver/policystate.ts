import { guardNames } from '../../../api/group.ts';
import { ConditionType, PolicyAppliedReason } from '../../../api/conditions.ts';
import type { MCPServer, MCPServerStatus } from '../../../api/mcpserver.ts';
import type { Ambient } from '../../../mcp/policy/bundle.ts';
import { type Condition, conditionOf, type ConditionUpdate } from '../../runtime/conditions.ts';
import type { DistributionState } from './distribution.ts';
import type { Enforced } from './enforcement.ts';

/** What a status says about policies. */
export interface PolicyState {
  readonly condition: ConditionUpdate;
  /** The guards are taking a new bundle: not done, but no fault either. */
  readonly behind: string | undefined;
  readonly policies: MCPServerStatus['policies'];
  readonly policyDigest: MCPServerStatus['policyDigest'];
  readonly guards: MCPServerStatus['guards'];
}

/**
 * Why it is not known what should be enforced: it could not be worked out now, so what was said holds; no guard runs; or the spec is refused and nobody
 * knows any more what the guards that run were started for.
 */
export type Unenforced = 'Unknown' | 'NothingRuns' | 'Lost';

/** Most policies that a status names. */
const MAX_POLICIES = 64;

/** `distribution`: what is known of the guards; `undefined` before they were asked. Pure. */
export function policyState(server: MCPServer, enforced: Enforced | Unenforced, distribution: DistributionState | undefined): PolicyState {
  if (typeof enforced === 'string') return unenforced(server, enforced);
  const { compiled, guarded } = enforced;
  const policies = compiled.policies.map(({ namespace, name, generation }) => ({ name, namespace, generation }));
  const listed = policies.length === 0 ? undefined : policies.slice(0, MAX_POLICIES);
  if (!guarded) return { condition: unguarded(policies), behind: undefined, policies: listed, policyDigest: undefined, guards: undefined };
  const known = distribution?.digest === compiled.digest ? distribution : undefined;
  const before = conditionOf(server.status?.conditions as readonly Condition[] | undefined, ConditionType.PolicyApplied);
  const pending = known === undefined || known.current < known.total;
  const late = known?.late === true;
  // A process that has just started has asked nobody yet; what it said before its restart still holds.
  const asked = known !== undefined || server.status?.policyDigest !== compiled.digest;
  const behind = pending && asked && !late ? behindMessage(known) : undefined;
  const settled = firstProblem(server, enforced, late ? known : undefined) ?? applied(policies, compiled.bundle.policy.ambient);
  return {
    // What the guards still enforce is true until they are asked for too long.
    condition: pending && !late && before !== undefined ? { ...before } : pending && !late ? waiting : settled,
    behind,
    policies: listed,
    policyDigest: compiled.digest,
    guards: known === undefined ? server.status?.guards : { total: known.total, current: known.current },
  };
}

const type = ConditionType.PolicyApplied;

function unenforced({ status, metadata }: MCPServer, why: Unenforced): PolicyState {
  const nothing = { condition: waiting, behind: undefined, policies: undefined, policyDigest: undefined, guards: undefined };
  if (why === 'NothingRuns') return nothing;
  const before = conditionOf(status?.conditions as readonly Condition[] | undefined, type);
  const said = { ...nothing, policies: status?.policies, policyDigest: status?.policyDigest, guards: status?.guards };
  if (why === 'Unknown') return { ...said, condition: before === undefined ? waiting : { ...before } };
  return {
    ...said,
    condition: {
      type,
      status: 'False',
      reason: PolicyAppliedReason.NotEnforced,
      message: `The guards keep the policies that they hold: ConfigMap ${guardNames(metadata.name).policy} is not as it was applied, and cannot be made again until the spec is accepted`,
    },
  };
}

const waiting: ConditionUpdate = {
  type,
  status: 'Unknown',
  reason: PolicyAppliedReason.GuardBehind,
  message: 'The guards have not said yet which policies they enforce',
};

type Named = readonly { readonly name: string; readonly namespace: string }[];

const noPolicy = (ambient: Ambient): ConditionUpdate => ({
  type,
  status: 'True',
  reason: PolicyAppliedReason.NoPolicy,
  message: `No policy selects this server: ${AMBIENT[ambient]}`,
});

const AMBIENT: Readonly<Record<Ambient, string>> = {
  Allow: 'every call is allowed',
  ReadOnly: "the operator's --ambient lets tools that only read pass",
  Deny: "the operator's --ambient refuses every call",
};

const unguarded = (policies: Named): ConditionUpdate =>
  policies.length === 0
    ? // Nobody stands in front of it, whatever the ambient is.
      noPolicy('Allow')
    : {
        type,
        status: 'False',
        reason: PolicyAppliedReason.NotEnforced,
        message: `${names(policies)} selects this server, but its guard is off: set spec.guard.enabled: true`,
      };

/** What an author must mend comes before what time may. */
function firstProblem(
  server: MCPServer,
  { compiled, pinsMissing, keysMissing }: Enforced,
  late: DistributionState | undefined,
): ConditionUpdate | undefined {
  const problem = (reason: keyof typeof PolicyAppliedReason, message: string): ConditionUpdate => ({
    type,
    status: 'False',
    reason,
    message,
  });
  const [invalid] = compiled.invalid;
  if (invalid !== undefined) {
    const consequence = invalid.kept ? 'its last readable form stays in force' : 'every call is refused';
    return problem('InvalidPolicy', `${invalid.namespace}/${invalid.name}: ${invalid.problem}; ${consequence}`);
  }
  if (compiled.oversized !== undefined) return problem('BundleTooLarge', compiled.oversized);
  if (late !== undefined) {
    const pods = late.behind.slice(0, 3).join(', ') + (late.behind.length > 3 ? ` and ${late.behind.length - 3} more` : '');
    const why = late.refused === undefined ? '' : `. Refused: ${late.refused}`;
    return problem('GuardBehind', `${late.current} of ${late.total} guards enforce the newest policies; behind: ${pods}${why}`);
  }
  if (compiled.policies.length === 0 && server.spec.policy.required) {
    return problem('PolicyMissing', 'spec.policy.required is set, but no policy selects this server: every call is refused');
  }
  if (keysMissing !== undefined)
    return problem('KeysMissing', `Tokens are refused, as the keys to check them cannot be had. ${keysMissing}`);
  return pinsMissing !== undefined && compiled.policies.length > 0 ? problem('PinsMissing', pinsMissing) : undefined;
}

const applied = (policies: Named, ambient: Ambient): ConditionUpdate =>
  policies.length === 0
    ? noPolicy(ambient)
    : { type, status: 'True', reason: PolicyAppliedReason.Applied, message: `The guards enforce ${names(policies)}` };

const behindMessage = (known: DistributionState | undefined): string =>
  known === undefined
    ? 'The guards are asked which policies they enforce'
    : `${known.current} of ${known.total} guards enforce the newest policies`;

function names(policies: Named): string {
  const shown = policies
    .slice(0, 3)
    .map(({ namespace, name }) => `${namespace}/${name}`)
    .join(', ');
  return policies.length > 3 ? `${shown} and ${policies.length - 3} more` : shown;
}
