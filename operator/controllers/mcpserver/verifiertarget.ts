import { Annotation, SERVER_CONTAINER } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { milliseconds } from '../../../api/schema/duration.ts';
import type { Deployment, Pod } from '../../kube/wire.ts';
import { type Condition, conditionOf } from '../../runtime/conditions.ts';
import { guardPods } from './guardreports.ts';
import { hasGuard } from './input.ts';
import { isReady } from './poddiagnosis.ts';
import type { Prober } from './prober.ts';
import type { VerifierTarget } from './verifier.ts';

/** What is verified of a server; `undefined` while nothing can answer. */
export function verifierTarget(
  server: MCPServer,
  deployment: Deployment | undefined,
  pods: readonly Pod[],
  prober: Prober,
): VerifierTarget | undefined {
  if (deployment?.spec?.replicas === 0) return undefined;
  // A guard knows why its server does not answer, also while the pod is not ready for that very reason.
  const guards = hasGuard(server) ? guardPods(pods) : [];
  if ((deployment?.status?.readyReplicas ?? 0) === 0 && guards.length === 0) return undefined;
  const ready = pods.filter(isReady);
  return {
    fingerprint: JSON.stringify([server.metadata.uid, server.metadata.generation, requestedAt(server), ready.map(podIdentity).toSorted()]),
    interval: milliseconds(server.spec.verification.interval),
    probe: (options) => prober(server, { ...options, guards }),
    verifiedAt: verifiedAt(server, ready),
  };
}

const requestedAt = ({ metadata }: MCPServer): string | undefined => metadata.annotations?.[Annotation.RequestedAt];

/** A container that started again is another server, in the same pod. */
const podIdentity = ({ metadata, status }: Pod): string =>
  `${metadata.uid}.${status?.containerStatuses?.find(({ name }) => name === SERVER_CONTAINER)?.restartCount ?? 0}`;

/** The last success that status knows of, if it is about this spec and these pods. */
function verifiedAt(server: MCPServer, ready: readonly Pod[]): Date | undefined {
  const { status, metadata } = server;
  const condition = conditionOf(status?.conditions as readonly Condition[] | undefined, 'Verified');
  const last = status?.verification?.lastSuccessTime;
  if (last === undefined || condition?.status !== 'True' || status?.observedGeneration !== metadata.generation) return undefined;
  if (requestedAt(server) !== status?.lastHandledReconcileAt) return undefined;
  const at = Date.parse(last);
  return ready.some((pod) => readySince(pod) > at) ? undefined : new Date(at);
}

const readySince = ({ status }: Pod): number =>
  Date.parse(status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? '') || 0;
