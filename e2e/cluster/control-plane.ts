import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { answers } from './api-server.ts';
import type { ApiAccess } from './api-server.ts';
import { Component } from './component.ts';
import type { ComponentOptions } from './component.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { createAuthority, createSigningKeys, writeKeyPair } from './pki.ts';
import type { Authority } from './pki.ts';

/** What the parts of one cluster have in common. */
export interface Blueprint {
  readonly id: string;
  /** Also the node's name. */
  readonly name: string;
  readonly folder: string;
  /** Where the API server listens. */
  readonly address: string;
  readonly port: number;
  /** Addresses of Services; the first is the API server's. */
  readonly serviceNetwork: string;
  readonly serviceAddress: string;
  /** Addresses of pods, when the cluster has a node. */
  readonly podNetwork?: string;
  readonly auditLogPath?: string;
  readonly apiServerFlags: readonly string[];
  readonly component: (options: Pick<ComponentOptions, 'name' | 'command' | 'ready'>) => Component;
}

/** Secrets of one cluster: who may sign and who is the administrator. */
export interface Credentials {
  readonly authority: Authority;
  readonly admin: ApiAccess;
}

export function pkiFolder({ folder }: Blueprint): string {
  return join(folder, 'pki');
}

/** Makes all keys and certificates of the control plane in `<folder>/pki`. */
export async function createCredentials(plan: Blueprint): Promise<Credentials> {
  const [authority, frontProxy, tokens] = await Promise.all([
    createAuthority(`${plan.id}-ca`),
    createAuthority('front-proxy-ca'),
    createSigningKeys(),
  ]);
  const pki = pkiFolder(plan);
  await mkdir(pki, { recursive: true, mode: 0o700 });
  const serving = await authority.issue({
    commonName: 'kube-apiserver',
    dnsNames: [
      'localhost',
      plan.name,
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      'kubernetes.default.svc.cluster.local',
    ],
    ipAddresses: [...new Set(['127.0.0.1', plan.address, plan.serviceAddress])],
  });
  const admin = await authority.issue({ commonName: 'admin', organizations: ['system:masters'] });
  await Promise.all([
    writeFile(join(pki, 'ca.crt'), authority.certificate),
    writeFile(join(pki, 'front-proxy-ca.crt'), frontProxy.certificate),
    writeFile(join(pki, 'service-account.key'), tokens.privateKey, { mode: 0o600 }),
    writeFile(join(pki, 'service-account.pub'), tokens.publicKey),
    writeKeyPair(pki, 'kube-apiserver', serving),
    writeKeyPair(pki, 'admin', admin),
    writeKeyPair(
      pki,
      'kubelet-client',
      await authority.issue({ commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'] }),
    ),
    writeKeyPair(pki, 'front-proxy-client', await frontProxy.issue({ commonName: 'front-proxy-client' })),
  ]);
  return { authority, admin: { server: `https://${plan.address}:${plan.port}`, authority: authority.certificate, user: admin } };
}

/** Unix sockets need no free port, and the folder's owner alone may use them. */
export function etcdSocket({ folder }: Blueprint): string {
  return join(folder, 'etcd.sock');
}

/** Without fsync: what a power cut does to a test cluster does not matter. */
export function etcd(plan: Blueprint, binary: string): Component {
  const [client, peer] = [`unix://${etcdSocket(plan)}`, `unix://${join(plan.folder, 'peer.sock')}`];
  return plan.component({
    name: 'etcd',
    command: [
      binary,
      `--name=${plan.name}`,
      `--data-dir=${join(plan.folder, 'etcd')}`,
      `--listen-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      // It wants a host and port for peers and their clients, of which there are none.
      '--advertise-client-urls=http://localhost:2379',
      '--initial-advertise-peer-urls=http://localhost:2380',
      `--initial-cluster=${plan.name}=http://localhost:2380`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    ready: () => accepts(etcdSocket(plan)),
  });
}

export async function apiServer(plan: Blueprint, binary: string, { admin }: Credentials): Promise<Component> {
  const pki = (file: string): string => join(pkiFolder(plan), file);
  return plan.component({
    name: 'kube-apiserver',
    command: [
      binary,
      `--etcd-servers=unix://${etcdSocket(plan)}`,
      `--bind-address=${plan.address}`,
      `--advertise-address=${plan.address}`,
      `--secure-port=${plan.port}`,
      `--service-cluster-ip-range=${plan.serviceNetwork}`,
      // The loopback address may not be an endpoint; nobody uses the Service `kubernetes` of a cluster without a node anyway.
      `--endpoint-reconciler-type=${plan.podNetwork === undefined ? 'none' : 'master-count'}`,
      `--tls-cert-file=${pki('kube-apiserver.crt')}`,
      `--tls-private-key-file=${pki('kube-apiserver.key')}`,
      `--client-ca-file=${pki('ca.crt')}`,
      `--kubelet-certificate-authority=${pki('ca.crt')}`,
      `--kubelet-client-certificate=${pki('kubelet-client.crt')}`,
      `--kubelet-client-key=${pki('kubelet-client.key')}`,
      '--kubelet-preferred-address-types=InternalIP',
      `--service-account-issuer=${issuer(plan)}`,
      `--service-account-signing-key-file=${pki('service-account.key')}`,
      `--service-account-key-file=${pki('service-account.pub')}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      `--requestheader-client-ca-file=${pki('front-proxy-ca.crt')}`,
      '--requestheader-allowed-names=front-proxy-client',
      '--requestheader-username-headers=X-Remote-User',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      `--proxy-client-cert-file=${pki('front-proxy-client.crt')}`,
      `--proxy-client-key-file=${pki('front-proxy-client.key')}`,
      '--enable-aggregator-routing=true',
      ...(await auditFlags(plan)),
      ...plan.apiServerFlags,
    ],
    ready: async () => (await answers(admin, '/readyz')) && (await answers(admin, '/api/v1/namespaces/default')),
  });
}

/** Distinct per cluster, so that a token of one is not mistaken for a token of another. */
export function issuer({ id }: Pick<Blueprint, 'id'>): string {
  return `https://${id}.clusters.mcp-fleet.dev`;
}

export async function controllerManager(plan: Blueprint, binary: string, credentials: Credentials): Promise<Component> {
  const pki = (file: string): string => join(pkiFolder(plan), file);
  const config = await clientConfig(plan, credentials, 'kube-controller-manager');
  return plan.component({
    name: 'kube-controller-manager',
    command: [
      binary,
      `--kubeconfig=${config}`,
      `--service-account-private-key-file=${pki('service-account.key')}`,
      `--root-ca-file=${pki('ca.crt')}`,
      '--use-service-account-credentials=true',
      '--leader-elect=false',
      '--secure-port=0',
      ...(plan.podNetwork === undefined ? [] : [`--cluster-cidr=${plan.podNetwork}`, '--allocate-node-cidrs=false']),
      // Each controller asks for a token of its own: at the default rate alone that takes five seconds.
      '--kube-api-qps=500',
      '--kube-api-burst=500',
      // Half a minute to notice load is the production default; a test of scaling should not wait for it.
      '--horizontal-pod-autoscaler-sync-period=2s',
      '--horizontal-pod-autoscaler-initial-readiness-delay=5s',
      '--horizontal-pod-autoscaler-cpu-initialization-period=5s',
      '--horizontal-pod-autoscaler-downscale-stabilization=10s',
    ],
    ready: () => answers(credentials.admin, '/api/v1/namespaces/default/serviceaccounts/default'),
  });
}

export async function scheduler(plan: Blueprint, binary: string, credentials: Credentials): Promise<Component> {
  const config = await clientConfig(plan, credentials, 'kube-scheduler');
  return plan.component({
    name: 'kube-scheduler',
    command: [
      binary,
      `--kubeconfig=${config}`,
      `--authentication-kubeconfig=${config}`,
      `--authorization-kubeconfig=${config}`,
      '--leader-elect=false',
      '--secure-port=0',
      '--kube-api-qps=500',
      '--kube-api-burst=500',
    ],
    ready: () => Promise.resolve(true),
  });
}

/** A kubeconfig for the component `name`, whose user Kubernetes' own roles know as `system:<name>`. */
export async function clientConfig(
  plan: Blueprint,
  { authority, admin }: Credentials,
  name: string,
  user: { commonName: string; organizations?: readonly string[] } = { commonName: `system:${name}` },
): Promise<string> {
  const pair = await authority.issue(user);
  return writeKubeconfig(join(pkiFolder(plan), `${name}.kubeconfig`), {
    name,
    server: admin.server,
    authority: authority.certificate,
    user: pair,
  });
}

/** Written before a request is answered, so that a test that has its answer finds the record. */
async function auditFlags({ folder, auditLogPath }: Blueprint): Promise<string[]> {
  if (auditLogPath === undefined) {
    return [];
  }
  const policy = join(folder, 'audit-policy.yaml');
  await writeFile(
    policy,
    stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules: [{ level: 'Metadata' }] }),
  );
  return [
    `--audit-policy-file=${policy}`,
    `--audit-log-path=${auditLogPath}`,
    '--audit-log-mode=blocking-strict',
    '--audit-log-maxsize=2000',
  ];
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
