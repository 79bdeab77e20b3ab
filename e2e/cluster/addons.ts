import { Resolver } from 'node:dns/promises';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MACHINE_ADDRESS } from './addresses.ts';
import { answers, applyObject } from './api-server.ts';
import type { Component } from './component.ts';
import { clientConfig, pkiFolder } from './control-plane.ts';
import type { Blueprint, Credentials } from './control-plane.ts';
import { writeKeyPair } from './pki.ts';

const RBAC = 'rbac.authorization.k8s.io';
const METRICS_PORT = 4443;

/** CoreDNS as a process on the node's address. Names outside the cluster do not exist, except one for this machine. */
export async function dns(plan: Blueprint, binary: string, credentials: Credentials): Promise<Component> {
  await grant(credentials, 'system:coredns', [
    { apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
  ]);
  const config = join(plan.folder, 'Corefile');
  const client = await clientConfig(plan, credentials, 'coredns');
  await writeFile(
    config,
    `cluster.local:53 in-addr.arpa:53 machine.test:53 {
  bind ${plan.address}
  errors
  cache 5
  hosts {
    ${MACHINE_ADDRESS} machine.test
    fallthrough
  }
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${client}
    ttl 5
  }
}
.:53 {
  bind ${plan.address}
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`,
  );
  return plan.component({
    name: 'coredns',
    command: [binary, '-conf', config],
    ready: () => resolves(plan.address, 'kubernetes.default.svc.cluster.local'),
  });
}

async function resolves(server: string, name: string): Promise<boolean> {
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([server]);
  return resolver.resolve4(name).then(
    () => true,
    () => false,
  );
}

/**
 * metrics-server as a process on the node's address, registered as any aggregated API. Makes HPAs on CPU work. It knows the
 * consumption of a pod when it has seen it twice, at most twenty seconds after its start.
 */
export async function metricsServer(plan: Blueprint, binary: string, credentials: Credentials): Promise<Component> {
  const { authority, admin } = credentials;
  await grant(credentials, 'system:metrics-server', [
    { apiGroups: [''], resources: ['nodes/metrics'], verbs: ['get'] },
    { apiGroups: [''], resources: ['pods', 'nodes', 'namespaces', 'configmaps'], verbs: ['get', 'list', 'watch'] },
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ]);
  const dnsNames = ['metrics-server.kube-system.svc'];
  const serving = await writeKeyPair(pkiFolder(plan), 'metrics-server', await authority.issue({ commonName: 'metrics-server', dnsNames }));
  const client = await clientConfig(plan, credentials, 'metrics-server');
  await register(plan, credentials);
  return plan.component({
    name: 'metrics-server',
    command: [
      binary,
      `--kubeconfig=${client}`,
      `--authentication-kubeconfig=${client}`,
      `--authorization-kubeconfig=${client}`,
      `--bind-address=${plan.address}`,
      `--secure-port=${METRICS_PORT}`,
      `--tls-cert-file=${serving.certificate}`,
      `--tls-private-key-file=${serving.key}`,
      `--kubelet-certificate-authority=${join(pkiFolder(plan), 'ca.crt')}`,
      '--kubelet-preferred-address-types=InternalIP',
      '--kubelet-request-timeout=5s',
      '--metric-resolution=10s',
    ],
    ready: () => answers(admin, '/apis/metrics.k8s.io/v1beta1'),
  });
}

async function register({ address }: Blueprint, { admin, authority }: Credentials): Promise<void> {
  const name = 'metrics-server';
  const services = '/api/v1/namespaces/kube-system/services';
  const slices = '/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices';
  await applyObject(admin, `${services}/${name}`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { ports: [{ name: 'https', port: 443, targetPort: METRICS_PORT }] },
  });
  await applyObject(admin, `${slices}/${name}`, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'https', port: METRICS_PORT, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  });
  await applyObject(admin, '/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io', {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: 'v1beta1.metrics.k8s.io' },
    spec: {
      group: 'metrics.k8s.io',
      version: 'v1beta1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      caBundle: Buffer.from(authority.certificate).toString('base64'),
      service: { namespace: 'kube-system', name },
    },
  });
}

/** A ClusterRole of the user's own name, bound to it. */
async function grant({ admin }: Credentials, user: string, rules: readonly object[]): Promise<void> {
  const path = `/apis/${RBAC}/v1`;
  const name = `e2e:${user}`;
  await applyObject(admin, `${path}/clusterroles/${name}`, { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name }, rules });
  await applyObject(admin, `${path}/clusterrolebindings/${name}`, {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name },
    subjects: [{ kind: 'User', name: user, apiGroup: RBAC }],
  });
}
