import { AcceptedReason, AvailableReason, ConditionType, ReadyReason, ReconcilingReason, StalledReason } from '../../../api/conditions.ts';
import { Annotation } from '../../../api/group.ts';
import type { MCPServer, MCPServerStatus } from '../../../api/mcpserver.ts';
import type { Deployment } from '../../kube/wire.ts';
import { type Condition, conditionOf, type ConditionUpdate, withConditions } from '../../runtime/conditions.ts';
import { isStalled, type Violation } from './acceptance.ts';
import type { Availability } from './availability.ts';
import { hasGuard } from './input.ts';
import type { ExposureState } from './exposure.ts';
import { selector } from './names.ts';
import type { Note } from './notes.ts';
import type { PolicyState } from './policystate.ts';
import { gist } from './quote.ts';
import type { VerificationState } from './verification.ts';

export interface StatusInput {
  readonly server: MCPServer;
  readonly violation: Violation | undefined;
  /** Remarks on an accepted server. */
  readonly notes: readonly Note[];
  readonly deployment: Deployment | undefined;
  readonly availability: Availability;
  readonly verification: VerificationState;
  readonly exposure: ExposureState | undefined;
  readonly address: NonNullable<MCPServerStatus['address']>;
  readonly policy: PolicyState;
  /** An attempt failed for reasons that are not the user's, and is repeated. */
  readonly retrying: string | undefined;
  readonly now: Date;
}

/** The status of a server. Pure; the same world gives the same bytes, whatever happened in between. */
export function status(input: StatusInput): MCPServerStatus {
  const { server, deployment, verification, policy, now } = input;
  const generation = server.metadata.generation ?? 0;
  const before = server.status?.conditions as readonly Condition[] | undefined;
  const requestedAt = server.metadata.annotations?.[Annotation.RequestedAt];
  const conditions = withConditions(
    before?.filter(({ type }) => type !== ConditionType.Exposed || input.exposure !== undefined),
    steadied(summarized(input), before, generation),
    generation,
    now,
  );
  return {
    observedGeneration: generation,
    conditions,
    address: input.address,
    replicas: deployment?.status?.replicas ?? 0,
    readyReplicas: deployment?.status?.readyReplicas ?? 0,
    selector: Object.entries(selector(server))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    ...(verification.server !== undefined && { server: verification.server }),
    ...(verification.tools !== undefined && { tools: verification.tools }),
    ...(verification.verification !== undefined && { verification: verification.verification }),
    ...(policy.policies !== undefined && { policies: policy.policies }),
    ...(policy.policyDigest !== undefined && { policyDigest: policy.policyDigest }),
    ...(policy.guards !== undefined && { guards: policy.guards }),
    ...(requestedAt !== undefined && { lastHandledReconcileAt: requestedAt }),
  };
}

function summarized(input: StatusInput): ConditionUpdate[] {
  const parts = [accepted(input), available(input), verified(input), input.policy.condition, ...exposed(input)];
  const ready = readiness(input, parts);
  return [ready, ...parts, ...progress(input, ready)];
}

const accepted = ({ violation, notes }: StatusInput): ConditionUpdate =>
  violation === undefined
    ? {
        type: ConditionType.Accepted,
        status: 'True',
        reason: AcceptedReason.Accepted,
        message: [
          'The spec makes sense and what it names exists',
          ...notes.map(({ reason, message }) => `${NOTED}${reason}: ${message}`),
        ].join(''),
      }
    : { type: ConditionType.Accepted, status: 'False', reason: violation.reason, message: violation.message };

const NOTED = '\nNoted ';

/** The notes that a status already tells, by reason and words. Those were announced by an event before. */
export const toldNotes = ({ status: before }: MCPServer): readonly string[] =>
  (conditionOf(before?.conditions as readonly Condition[] | undefined, ConditionType.Accepted)?.message ?? '').split(NOTED).slice(1);

export const noteText = ({ reason, message }: Note): string => `${reason}: ${message}`;

/** What never ran is neither available nor failed. */
const available = ({ server, violation, deployment, availability, verification: { condition } }: StatusInput): ConditionUpdate =>
  violation !== undefined && deployment === undefined
    ? {
        type: ConditionType.Available,
        status: 'Unknown',
        reason: AvailableReason.Progressing,
        message: 'Nothing runs until the spec is accepted',
      }
    : {
        type: ConditionType.Available,
        status: availability.status,
        reason: availability.reason,
        // The kubelet knows only that the guard is not satisfied; the guard has said why.
        message:
          availability.reason === AvailableReason.ServerNotAnswering && hasGuard(server) && condition.status === 'False'
            ? `${availability.message}: ${condition.message}`
            : availability.message,
      };

const verified = ({ verification: { condition } }: StatusInput): ConditionUpdate => ({ type: ConditionType.Verified, ...condition });

const exposed = ({ exposure }: StatusInput): ConditionUpdate[] =>
  exposure === undefined ? [] : [{ type: ConditionType.Exposed, ...exposure }];

const isIdle = ({ violation, availability }: StatusInput): boolean =>
  violation === undefined && (availability.reason === AvailableReason.Suspended || availability.reason === AvailableReason.ScaledToZero);

/** In the order in which they depend on each other: the first that is not True explains the rest. */
function readiness(input: StatusInput, parts: readonly ConditionUpdate[]): ConditionUpdate {
  const { availability } = input;
  if (isIdle(input)) return { type: ConditionType.Ready, status: 'True', reason: availability.reason, message: availability.message };
  const order: readonly string[] = [ConditionType.Accepted, ConditionType.Available, ConditionType.Verified, ConditionType.PolicyApplied];
  const missing = parts.filter(({ type, status }) => order.includes(type) && status !== 'True');
  const verification = missing.find(({ type }) => type === ConditionType.Verified);
  // Pods run and only the server's answer is missing: how it fails to answer says more than that it does not.
  const first = missing[0]?.reason === AvailableReason.ServerNotAnswering && verification?.status === 'False' ? verification : missing[0];
  // The pods of the last revision may well serve: they are not what the spec asks for, and nothing will change that by itself.
  if (first === undefined && availability.deadlineExceeded !== undefined) {
    return {
      type: ConditionType.Ready,
      status: 'False',
      reason: AvailableReason.ProgressDeadlineExceeded,
      message: `${availability.deadlineExceeded}. Pods of an older revision serve meanwhile`,
    };
  }
  return first === undefined
    ? {
        type: ConditionType.Ready,
        status: 'True',
        reason: ReadyReason.Ready,
        message: parts.find(({ type }) => type === ConditionType.Verified)?.message ?? '',
      }
    : { type: ConditionType.Ready, status: first.status, reason: first.reason, message: first.message };
}

/** At most one of the two: kstatus takes Stalled for a failure and Reconciling for work, and it cannot be both. */
function progress(input: StatusInput, ready: ConditionUpdate): ConditionUpdate[] {
  const { violation, availability, retrying, policy } = input;
  if (violation !== undefined && isStalled(violation)) {
    return [{ type: ConditionType.Stalled, status: 'True', reason: violation.reason, message: violation.message }];
  }
  if (violation === undefined && availability.deadlineExceeded !== undefined) {
    return [
      {
        type: ConditionType.Stalled,
        status: 'True',
        reason: StalledReason.ProgressDeadlineExceeded,
        message: availability.deadlineExceeded,
      },
    ];
  }
  const reconciling = (reason: string, message: string): ConditionUpdate[] => [
    { type: ConditionType.Reconciling, status: 'True', reason, message },
  ];
  if (retrying !== undefined) return reconciling(ReconcilingReason.Retrying, retrying);
  if (violation === undefined && availability.rollingOut) {
    return reconciling(ReconcilingReason.Progressing, ready.status === 'True' ? 'The newest revision is being rolled out' : ready.message);
  }
  if (ready.status !== 'True') return reconciling(ReconcilingReason.Progressing, ready.message);
  return violation === undefined && policy.behind !== undefined ? reconciling(ReconcilingReason.GuardBehind, policy.behind) : [];
}

/** Conditions whose messages quote others, by reason. */
const quoting: readonly string[] = [
  AvailableReason.ImagePullFailed,
  AvailableReason.CrashLooping,
  AvailableReason.CreateContainerFailed,
  AvailableReason.MountFailed,
  AvailableReason.Unschedulable,
  AvailableReason.QuotaExceeded,
  AvailableReason.ServerNotAnswering,
  'HandshakeFailed',
  'ProtocolError',
  'Timeout',
  'ConnectionRefused',
  AvailableReason.ProgressDeadlineExceeded,
  ReconcilingReason.Progressing,
];

/**
 * Keeps the words of the last status where the new ones only differ in what changes at every attempt: a crash loop would otherwise cause a write per
 * restart, with nothing new in it.
 */
function steadied(updates: readonly ConditionUpdate[], before: readonly Condition[] | undefined, generation: number): ConditionUpdate[] {
  const failing = updates.some(({ type, status }) => type === ConditionType.Ready && status !== 'True');
  return updates.map((update) => {
    const old = conditionOf(before, update.type);
    const alike =
      failing &&
      old !== undefined &&
      old.status === update.status &&
      old.reason === update.reason &&
      old.observedGeneration === generation &&
      quoting.includes(update.reason) &&
      !COUNT.test(update.message) &&
      gist(old.message) === gist(update.message);
    return alike ? { ...update, message: old.message } : update;
  });
}

/** "1 of 2 pods are ready": these numbers are the news. */
const COUNT = /^\d+ of \d+ pods are ready$/;
