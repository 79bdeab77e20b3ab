import { EventReason } from '../../../api/events.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import type { PolicyRule } from '../../kube/wire.ts';
import { reachesSecretsOrEverything } from './grants.ts';
import type { Reference } from './references.ts';

/** Something that is accepted, but worth a word. */
export interface Note {
  readonly reason: EventReason;
  readonly message: string;
}

export interface NotesInput {
  readonly server: MCPServer;
  readonly references: readonly Reference[];
  /** Whether the operator sees changes of Secrets. */
  readonly secretRotation: boolean;
  /** Issuers whose keys cannot be fetched again, and why. */
  readonly keysStale: string | undefined;
  /** Rules of a ClusterRole that the operator may bind; `undefined` where it is unknown. */
  readonly rulesOf: (clusterRole: string) => readonly PolicyRule[] | undefined;
  /** Other servers of the namespace that write to this claim. */
  readonly writersOf: (claim: string) => readonly string[];
  /** The port at which the server answers around its guard; `undefined`: at none, as far as is known. */
  readonly bypass: number | undefined;
  /** What the autoscaler is to scale by and does not get, in words. */
  readonly missingMetrics: string | undefined;
  /** Who else manages fields of the pod template. */
  readonly foreignManagers: readonly string[];
}

type Check = (input: NotesInput) => Note | undefined;

export const notes = (input: NotesInput): Note[] => checks.map((check) => check(input)).filter((note) => note !== undefined);

const mutableImageTag: Check = ({ server: { spec } }) => {
  const image = spec.container?.image ?? spec.package?.image;
  return image !== undefined && image.endsWith(':latest')
    ? {
        reason: EventReason.MutableImageTag,
        message: `Image ${image} has tag latest: what runs depends on the day a node pulled it; name a version or digest`,
      }
    : undefined;
};

const broadClusterRole: Check = ({ server: { spec }, rulesOf }) => {
  const broad = (spec.kubernetesAccess?.clusterRoles ?? []).find((name) => reachesSecretsOrEverything(rulesOf(name) ?? []));
  return broad === undefined
    ? undefined
    : { reason: EventReason.BroadClusterRole, message: `ClusterRole ${broad} lets this server write Secrets or do everything` };
};

const openEgress: Check = ({ server: { spec } }) => {
  const open = (spec.network.egress.to ?? []).find(
    ({ ipBlock }) => ipBlock !== undefined && /^(0\.0\.0\.0|::)\/0$/.test(ipBlock.cidr) && (ipBlock.except ?? []).length === 0,
  );
  return open === undefined
    ? undefined
    : {
        reason: EventReason.OpenEgress,
        message: `network.egress.to has ${open.ipBlock?.cidr}: private addresses and the metadata service of the cloud are open to this server; egress.internet leaves those out`,
      };
};

const bypassPossible: Check = ({ bypass }) =>
  bypass === undefined
    ? undefined
    : {
        reason: EventReason.BypassPossible,
        message: `Port ${bypass} of the pods answers around the guard: have the server listen on 127.0.0.1 and set transport.bind: Loopback, or use a network plugin that enforces NetworkPolicies`,
      };

const metricsMissing: Check = ({ missingMetrics }) =>
  missingMetrics === undefined ? undefined : { reason: EventReason.MetricsMissing, message: missingMetrics };

const sharedVolume: Check = ({ references, writersOf }) => {
  for (const { kind, name, writable } of references) {
    const others = kind === 'PersistentVolumeClaim' && writable ? writersOf(name) : [];
    if (others.length > 0)
      return { reason: EventReason.SharedVolume, message: `PersistentVolumeClaim ${name} is written by ${others.join(', ')}, too` };
  }
  return undefined;
};

const foreignFields: Check = ({ foreignManagers }) =>
  foreignManagers.length === 0
    ? undefined
    : {
        reason: EventReason.ForeignFields,
        message: `Fields of the pod template are managed by ${foreignManagers.join(', ')}; they are kept`,
      };

const rotationDisabled: Check = ({ server: { spec }, references, secretRotation }) =>
  !secretRotation && spec.rollout.onReferenceChange === 'Restart' && references.some(({ kind }) => kind === 'Secret')
    ? {
        reason: EventReason.RotationDisabled,
        message:
          'Pods are not replaced when a Secret changes, since this operator may not watch Secrets: use kubectl rollout restart, or enable rotation',
      }
    : undefined;

const issuerUnreachable: Check = ({ keysStale }) =>
  keysStale === undefined
    ? undefined
    : {
        reason: EventReason.IssuerUnreachable,
        message: `Tokens are checked with the keys of before, as new ones cannot be had. ${keysStale}`,
      };

const checks: readonly Check[] = [
  mutableImageTag,
  broadClusterRole,
  bypassPossible,
  openEgress,
  sharedVolume,
  foreignFields,
  rotationDisabled,
  metricsMissing,
  issuerUnreachable,
];
