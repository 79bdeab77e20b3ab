import { GUARD_CONTAINER } from '../api/group.ts';
import type { MCPServer } from '../api/mcpserver.ts';
import type { KubeObject } from './kubeapi.ts';
import { condition } from './server.ts';

/** What is to be said of one object. `ready` is `undefined` where there is nothing to be ready. */
export interface ObjectState {
  readonly ready: boolean | undefined;
  readonly text: string;
}

/** The members of Kubernetes objects that a state is read from. */
interface Live extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly clusterIP?: string;
    readonly type?: string;
    readonly ports?: readonly { readonly port: number }[];
    readonly minReplicas?: number;
    readonly maxReplicas?: number;
  };
  readonly status?: {
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
    readonly observedGeneration?: number;
    readonly phase?: string;
    readonly reason?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly currentReplicas?: number;
    readonly desiredReplicas?: number;
    readonly disruptionsAllowed?: number;
    readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
    readonly parents?: readonly {
      readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[];
    }[];
  };
  readonly endpoints?: readonly { readonly conditions?: { readonly ready?: boolean } }[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
}

interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly state?: {
    readonly waiting?: { readonly reason?: string };
    readonly terminated?: { readonly reason?: string; readonly exitCode?: number };
    readonly running?: object;
  };
}

const nothing: ObjectState = { ready: undefined, text: '' };

export function objectState(kind: string, object: KubeObject): ObjectState {
  const live = object as Live;
  if (live.metadata.deletionTimestamp !== undefined) return { ready: false, text: 'being deleted' };
  return states[kind]?.(live) ?? nothing;
}

const states: Readonly<Record<string, (object: Live) => ObjectState>> = {
  Deployment: ({ spec, status, metadata }) => {
    const wanted = spec?.replicas ?? 1;
    const there = status?.readyReplicas ?? 0;
    const current = status?.observedGeneration === metadata.generation && (status?.updatedReplicas ?? 0) >= wanted;
    const rolling = current ? '' : ', rolling out';
    return { ready: there >= wanted && current, text: wanted === 0 ? 'no pods wanted' : `${there} of ${wanted} pods ready${rolling}` };
  },
  ReplicaSet: ({ spec, status }) => {
    const wanted = spec?.replicas ?? 0;
    return { ready: (status?.readyReplicas ?? 0) >= wanted, text: `${status?.readyReplicas ?? 0} of ${wanted} pods ready` };
  },
  Pod: podState,
  Service: ({ spec, status }) => {
    const ports = (spec?.ports ?? []).map(({ port }) => port).join(',');
    const balancer = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => hostname ?? ip ?? '').join(',');
    if (spec?.type === 'LoadBalancer')
      return { ready: balancer !== '', text: balancer === '' ? 'waiting for an address' : `${balancer}:${ports}` };
    return { ready: undefined, text: `${spec?.type ?? ''} ${spec?.clusterIP ?? ''}:${ports}` };
  },
  EndpointSlice: ({ endpoints }) => {
    const all = endpoints ?? [];
    const there = all.filter((endpoint) => endpoint.conditions?.ready !== false).length;
    return { ready: there > 0, text: `${there} of ${all.length} addresses ready` };
  },
  HorizontalPodAutoscaler: ({ spec, status }) => {
    const able = status?.conditions?.find(({ type }) => type === 'ScalingActive');
    const range = `${status?.currentReplicas ?? 0} pods, wants ${status?.desiredReplicas ?? 0} (${spec?.minReplicas ?? 1} to ${spec?.maxReplicas ?? 1})`;
    return able?.status === 'False' ? { ready: false, text: `${range}: ${able.reason ?? ''}` } : { ready: undefined, text: range };
  },
  PodDisruptionBudget: ({ status }) => ({ ready: undefined, text: `${status?.disruptionsAllowed ?? 0} disruptions allowed` }),
  Ingress: ({ status }) => {
    const addresses = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => hostname ?? ip ?? '');
    return { ready: addresses.length > 0, text: addresses.length > 0 ? addresses.join(',') : 'waiting for an address' };
  },
  HTTPRoute: ({ status }) => {
    const accepted = (status?.parents ?? []).map(({ conditions }) => conditions?.find(({ type }) => type === 'Accepted'));
    const refused = accepted.find((entry) => entry?.status !== 'True');
    if (accepted.length === 0) return { ready: false, text: 'waiting for a Gateway' };
    return refused === undefined
      ? { ready: true, text: 'accepted' }
      : { ready: false, text: `not accepted: ${refused?.reason ?? 'unknown'}` };
  },
  RoleBinding: roleState,
  ClusterRoleBinding: roleState,
};

function roleState({ roleRef }: Live): ObjectState {
  return { ready: undefined, text: roleRef === undefined ? '' : `to ${roleRef.kind} ${roleRef.name}` };
}

function podState({ status }: Live): ObjectState {
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const ready = status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  const restarts = containers.reduce((sum, container) => sum + container.restartCount, 0);
  const unscheduled = status?.conditions?.find(({ type, status: value }) => type === 'PodScheduled' && value === 'False');
  const text = [
    containers.map(containerTrouble).find((trouble) => trouble !== undefined) ??
      unscheduled?.reason ??
      status?.reason ??
      status?.phase ??
      'Unknown',
    ...(containers.some(({ name }) => name === GUARD_CONTAINER) ? ['guarded'] : []),
    ...(restarts > 0 ? [`${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`] : []),
  ].join(', ');
  return { ready, text };
}

function containerTrouble({ name, state, ready }: ContainerStatus): string | undefined {
  const waiting = state?.waiting?.reason;
  // Every init container waits for its predecessor: that is no trouble of its own.
  if (waiting !== undefined && waiting !== 'PodInitializing') return `${name}: ${waiting}`;
  const { terminated } = state ?? {};
  return terminated !== undefined && !ready && terminated.exitCode !== 0
    ? `${name}: ${terminated.reason ?? 'Error'} (exit ${terminated.exitCode})`
    : undefined;
}

/** The server itself: its condition Ready, and what it offers. */
export function serverState(server: MCPServer): ObjectState {
  if (server.metadata.deletionTimestamp !== undefined) return { ready: false, text: 'being deleted' };
  const ready = condition(server, 'Ready');
  if (ready === undefined) return { ready: false, text: 'not seen by the operator yet' };
  if (ready.status !== 'True') return { ready: false, text: ready.reason };
  const tools = server.status?.tools?.total;
  const policies = (server.status?.policies ?? []).map(({ name }) => name);
  const text = [
    ready.reason,
    ...(tools === undefined ? [] : [`${tools} ${tools === 1 ? 'tool' : 'tools'}`]),
    ...(policies.length === 0 ? [] : [`${policies.length === 1 ? 'policy' : 'policies'} ${policies.join(' ')}`]),
  ].join(', ');
  return { ready: true, text };
}
