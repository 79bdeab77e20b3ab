import { type AcceptedReason, StalledReason } from '../../../api/conditions.ts';
import type { MCPServer, MCPServerSpec } from '../../../api/mcpserver.ts';
import type { PolicyRule } from '../../kube/wire.ts';
import { GRANTABLE_CLUSTER_ROLE } from '../../rights.ts';
import { firstUncovered } from './grants.ts';
import { protectedField } from './protected.ts';
import type { Reference } from './references.ts';
import { SHIM_PATH, SOCKET_PATH } from './stdio.ts';
import { PACKAGE_PATH } from './volumes.ts';

/** Why a server is not accepted. */
export interface Violation {
  readonly reason: Exclude<keyof typeof AcceptedReason, 'Accepted'>;
  readonly message: string;
}

export interface AcceptanceInput {
  readonly server: MCPServer;
  /** What its pods refer to; empty where the pod could not be made. */
  readonly references: readonly Reference[];
  readonly exists: (reference: Reference) => boolean;
  /** Rules of ClusterRole mcp-fleet-grantable; `undefined` while it does not exist. */
  readonly grantable: readonly PolicyRule[] | undefined;
  /** ClusterRoles that may be named. */
  readonly grantableClusterRoles: readonly string[];
  /** Namespaces that this operator works in; all when empty. */
  readonly namespaces: readonly string[];
}

type Check = (input: AcceptanceInput) => Violation | undefined;

/** The first reason not to accept a server. */
export function firstViolation(input: AcceptanceInput): Violation | undefined {
  for (const check of checks) {
    const violation = check(input);
    if (violation !== undefined) return violation;
  }
  return undefined;
}

const tunnelIsOurs: Check = ({ server: { spec } }) =>
  spec.tunnel === undefined ? undefined : { reason: 'InvalidSpec', message: 'spec.tunnel is set by the operator alone' };

type Asked = readonly (readonly [field: string, asked: (spec: MCPServerSpec) => boolean])[];

/** What only a server with a guard can have, and how it is asked for. The API server refuses it too (api/guard.ts), but for servers that it had before. */
const needsGuard: Asked = [
  ['remote', ({ remote }) => remote !== undefined],
  ['service', ({ service }) => service !== undefined],
  ['transport.type: Stdio', ({ transport }) => transport.type === 'Stdio'],
  ['transport.bind: Loopback', ({ transport }) => transport.bind === 'Loopback'],
  ['authentication.type other than None', ({ authentication }) => authentication.type !== 'None'],
  ['policy.required: true', ({ policy }) => policy.required],
  ['autoscaling.requestsPerSecond', ({ autoscaling }) => autoscaling?.requestsPerSecond !== undefined],
  ['verification.headers[].valueFrom', ({ verification }) => (verification.headers ?? []).some(({ valueFrom }) => valueFrom !== undefined)],
];

const fieldsOf = (list: Asked, spec: MCPServerSpec): string =>
  list.flatMap(([field, asked]) => (asked(spec) ? [`spec.${field}`] : [])).join(', ');

const guardRequired: Check = ({ server: { spec } }) => {
  const asked = spec.guard.enabled ? '' : fieldsOf(needsGuard, spec);
  return asked === ''
    ? undefined
    : { reason: 'GuardRequired', message: `${asked} needs the guard: set spec.guard.enabled: true, or remove that from the spec` };
};

const fieldsProtected: Check = ({ server: { spec } }) => {
  const field = protectedField(spec);
  return field === undefined ? undefined : { reason: 'ProtectedField', message: `spec.${field}` };
};

const mountsReserved: Check = ({ server: { spec } }) => {
  const reserved = [
    ...(spec.kubernetesAccess === undefined ? [] : ['/var/run/secrets/kubernetes.io/serviceaccount']),
    ...(spec.package === undefined ? [] : [PACKAGE_PATH]),
    ...(spec.transport.type === 'Stdio' ? [SHIM_PATH, SOCKET_PATH] : []),
  ];
  const mount = (spec.mounts ?? []).find(({ mountPath }) => reserved.includes(mountPath.replace(/\/+$/, '')));
  return mount === undefined
    ? undefined
    : { reason: 'InvalidSpec', message: `spec.mounts: the operator itself mounts something at ${mount.mountPath}: choose another path` };
};

const clusterRolesAllowed: Check = ({ server: { spec }, grantableClusterRoles }) => {
  const role = (spec.kubernetesAccess?.clusterRoles ?? []).find((name) => !grantableClusterRoles.includes(name));
  return role === undefined
    ? undefined
    : {
        reason: 'AccessNotGrantable',
        message: `spec.kubernetesAccess.clusterRoles: ${role} is not among those that this operator may bind (${grantableClusterRoles.join(', ') || 'none'}); an administrator can add it to the operator's settings`,
      };
};

const withinNamespaces: Check = ({ server: { spec }, namespaces }) => {
  const outside =
    namespaces.length === 0 ? undefined : (spec.kubernetesAccess?.namespaces ?? []).find((name) => !namespaces.includes(name));
  return outside === undefined
    ? undefined
    : {
        reason: 'AccessNotGrantable',
        message: `spec.kubernetesAccess.namespaces: this operator does not work in namespace ${outside}, only in ${namespaces.join(', ')}`,
      };
};

const rulesCovered: Check = ({ server: { spec }, grantable }) => {
  const rules = spec.kubernetesAccess?.rules ?? [];
  const missing = firstUncovered(rules, grantable ?? []);
  if (missing === undefined) return undefined;
  return {
    reason: 'AccessNotGrantable',
    message:
      grantable === undefined
        ? `spec.kubernetesAccess.rules: ClusterRole ${GRANTABLE_CLUSTER_ROLE} does not exist, so nothing may be granted`
        : `spec.kubernetesAccess.rules: "${missing}" is not covered by ClusterRole ${GRANTABLE_CLUSTER_ROLE}; an administrator can add a ClusterRole with label mcp-fleet.dev/grantable: "true" that has it`,
  };
};

const referencesExist: Check = ({ references, exists, server }) => {
  const missing = references.filter((reference) => !reference.optional && !exists(reference));
  return missing.length === 0
    ? undefined
    : {
        reason: 'ReferenceNotFound',
        message: `Not found in namespace ${server.metadata.namespace}: ${missing.map(({ kind, name }) => `${kind} ${name}`).join(', ')}`,
      };
};

/**
 * First what makes the rest meaningless, then what the author alone can mend, then what an administrator must allow, and last what may come into being
 * by itself: a message about a missing ConfigMap helps nobody whose spec is refused anyway.
 */
const checks: readonly Check[] = [
  tunnelIsOurs,
  guardRequired,
  fieldsProtected,
  mountsReserved,
  clusterRolesAllowed,
  withinNamespaces,
  rulesCovered,
  referencesExist,
];

/** Whether only a change of the object mends it: kstatus counts that as failed. */
export const isStalled = ({ reason }: Violation): boolean => reason in StalledReason;
