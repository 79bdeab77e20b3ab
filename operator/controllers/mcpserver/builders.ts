import { API_VERSION } from '../../../api/group.ts';
import { type MCPServer, MCPServerSpec, type MCPServerSpecInput, type MCPServerStatus } from '../../../api/mcpserver.ts';
import type { ObjectMeta } from '../../kube/object.ts';
import type { Deployment, Pod } from '../../kube/wire.ts';
import type { ChildInput, ChildSettings } from './input.ts';

/** Builders for the unit tests of this folder. Everything that a test does not name has a plain value. */

export interface ServerChanges {
  readonly metadata?: Partial<ObjectMeta>;
  readonly status?: MCPServerStatus;
}

/** For tests of what holds where callers reach the server itself. */
export const UNGUARDED = { guard: { enabled: false } } as const;

/** An MCPServer called `github` in namespace `agents`, with the defaults that the API server fills in. */
export function server(spec: Partial<MCPServerSpecInput> = {}, { metadata, status }: ServerChanges = {}): MCPServer {
  const runs = ['container', 'package', 'remote', 'service', 'tunnel'].some((source) => source in spec);
  return {
    apiVersion: API_VERSION,
    kind: 'MCPServer',
    metadata: { name: 'github', namespace: 'agents', uid: 'u1', generation: 1, ...metadata },
    spec: MCPServerSpec.parse({ ...(runs ? {} : { container: { image: 'example.com/github:1' } }), ...spec }) as MCPServer['spec'],
    ...(status !== undefined && { status }),
  };
}

export const settings: ChildSettings = {
  clusterDomain: 'cluster.local',
  operatorNamespace: 'mcp-fleet-system',
  runnerImages: { npm: 'node:24-slim', pypi: 'uv:1' },
  registries: { npm: undefined, pypi: undefined },
  guardImage: { image: 'operator:1' },
  assignIDs: true,
};

/** What the children of a server are made from. */
export const input = (spec: Partial<MCPServerSpecInput> = {}, changes: Partial<ChildInput> = {}): ChildInput => ({
  server: server(spec),
  settings,
  bundle: undefined,
  configDigest: undefined,
  replicas: 1,
  apiServer: { clusterIPs: ['10.96.0.1'], servicePort: 443, endpoints: [{ ip: '192.0.2.10', port: 6443 }] },
  target: undefined,
  has: { httpRoutes: true, podMonitors: true },
  ...changes,
});

/** A Deployment as its controller reports it. */
export const live = (status: Partial<NonNullable<Deployment['status']>> = {}, replicas = 1): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'github', namespace: 'agents', uid: 'd1', generation: 1 },
  spec: { replicas, selector: {}, template: {} },
  status: { observedGeneration: 1, ...status },
});

/** All pods are there, new and ready. */
export const allReady = (replicas: number) => ({
  replicas,
  updatedReplicas: replicas,
  readyReplicas: replicas,
  availableReplicas: replicas,
});

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

export const containerStatus = (changes: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name: 'server',
  image: 'example.com/github:1',
  imageID: '',
  ready: false,
  restartCount: 0,
  ...changes,
});

/** A pod of the server that is not ready. */
export const pod = (status: Partial<NonNullable<Pod['status']>> = {}, name = 'github-1'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'agents', uid: name, labels: { 'mcp-fleet.dev/server': 'github' } },
  status: { phase: 'Pending', ...status },
});
