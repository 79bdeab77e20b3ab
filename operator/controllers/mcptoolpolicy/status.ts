import type { MCPToolPolicy, MCPToolPolicyStatus } from '../../../api/mcptoolpolicy.ts';
import { PolicyAcceptedReason, PolicyConditionType, PolicyReadyReason, ProgrammedReason } from '../../../api/policyconditions.ts';
import { type Condition, type ConditionUpdate, withConditions } from '../../runtime/conditions.ts';
import { policyFormOf, PolicyProblem } from '../../../compiler/form.ts';

/** One server that a policy selects. */
export interface PolicyTarget {
  readonly namespace: string;
  readonly name: string;
  /** Whether the server has a guard. */
  readonly guarded: boolean;
  /** Whether all its guards run the bundle that holds the policy as it stands. */
  readonly current: boolean;
  /** What is probably not meant, of this server. */
  readonly warnings: readonly string[];
}

export interface PolicyStatusInput {
  readonly policy: MCPToolPolicy;
  readonly operatorNamespace: string | undefined;
  readonly targets: readonly PolicyTarget[];
  readonly now: Date;
}

/** Bounds of the schema. */
const MAX_NOT_CURRENT = 20;
const MAX_WARNINGS = 64;
const MAX_WARNING = 1024;

/** The status of a policy. Pure; the same world gives the same bytes. */
export function policyStatus(input: PolicyStatusInput): MCPToolPolicyStatus {
  const { policy, targets, now } = input;
  const generation = policy.metadata.generation ?? 0;
  const behind = targets.filter(({ current }) => !current).map(targetName);
  const warnings = shortened([...new Set(targets.flatMap((target) => target.warnings))].toSorted());
  return {
    observedGeneration: generation,
    conditions: withConditions(policy.status?.conditions as readonly Condition[] | undefined, conditions(input), generation, now),
    targets: {
      total: targets.length,
      current: targets.length - behind.length,
      ...(behind.length > 0 && { notCurrent: behind.toSorted().slice(0, MAX_NOT_CURRENT) }),
    },
    ...(warnings.length > 0 && { warnings }),
  };
}

function conditions({ policy, operatorNamespace, targets }: PolicyStatusInput): ConditionUpdate[] {
  const accepted = acceptance(policy, operatorNamespace, targets);
  const programmed = accepted.status === 'True' ? programming(targets) : WAITING;
  const blocking = [accepted, programmed].find(({ status }) => status !== 'True');
  const ready: ConditionUpdate =
    blocking === undefined
      ? { type: PolicyConditionType.Ready, status: 'True', reason: PolicyReadyReason.Ready, message: programmed.message }
      : { ...blocking, type: PolicyConditionType.Ready };
  const stalled: readonly ConditionUpdate[] =
    accepted.status === 'True' ? [] : [{ ...accepted, type: PolicyConditionType.Stalled, status: 'True' }];
  return [ready, accepted, programmed, ...stalled];
}

function acceptance(policy: MCPToolPolicy, operatorNamespace: string | undefined, targets: readonly PolicyTarget[]): ConditionUpdate {
  const type = PolicyConditionType.Accepted;
  try {
    policyFormOf(policy, operatorNamespace);
    return { type, status: 'True', reason: PolicyAcceptedReason.Accepted, message: 'The policy can be enforced' };
  } catch (error) {
    if (!(error instanceof PolicyProblem)) throw error;
    const consequence =
      targets.length === 0 ? '' : '. Guards that hold an earlier form of it keep that; servers without one refuse every call';
    return { type, status: 'False', reason: error.reason, message: `${error.message}${consequence}` };
  }
}

const WAITING: ConditionUpdate = {
  type: PolicyConditionType.Programmed,
  status: 'Unknown',
  reason: ProgrammedReason.Pending,
  message: 'Nothing changes in the guards until the policy is accepted',
};

/** What cannot be enforced comes before what is not enforced yet. */
function programming(targets: readonly PolicyTarget[]): ConditionUpdate {
  const type = PolicyConditionType.Programmed;
  if (targets.length === 0) return { type, status: 'True', reason: ProgrammedReason.NoTargets, message: 'The policy selects no server' };
  const unguarded = targets.filter(({ guarded }) => !guarded).map(targetName);
  if (unguarded.length > 0) {
    return {
      type,
      status: 'False',
      reason: ProgrammedReason.NotEnforced,
      message: `These servers have their guard off: ${named(unguarded)}`,
    };
  }
  const behind = targets.filter(({ current }) => !current).map(targetName);
  if (behind.length > 0) {
    const message = `Guards of ${behind.length} of ${targets.length} servers do not enforce it yet: ${named(behind)}`;
    return { type, status: 'False', reason: ProgrammedReason.GuardBehind, message };
  }
  return { type, status: 'True', reason: ProgrammedReason.Programmed, message: `The guards of ${targets.length} servers enforce it` };
}

const targetName = ({ namespace, name }: PolicyTarget): string => `${namespace}/${name}`;

const TOLD = 3;

function named(names: readonly string[]): string {
  const shown = names.toSorted().slice(0, TOLD).join(', ');
  return names.length > TOLD ? `${shown} and ${names.length - TOLD} more` : shown;
}

function shortened(warnings: readonly string[]): readonly string[] {
  const bounded = warnings.map((warning) => (warning.length > MAX_WARNING ? `${warning.slice(0, MAX_WARNING - 1)}…` : warning));
  if (bounded.length <= MAX_WARNINGS) return bounded;
  return [...bounded.slice(0, MAX_WARNINGS - 1), `and ${bounded.length - MAX_WARNINGS + 1} more`];
}
