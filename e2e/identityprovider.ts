import { NODE_PUBLISHED } from './images/node.ts';
import type { Kubectl } from './kubectl.ts';

/** Serves over HTTP what was put there. */
const PROGRAM = `
import { createServer } from 'node:http';
const pages = new Map();
createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  if (request.method === 'PUT') pages.set(request.url, text);
  const page = pages.get(request.url);
  response.writeHead(page === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(page);
}).listen(8080);
`;

/** An identity provider in the cluster: metadata and keys at a Service, from which the operator fetches them. */
export interface IdentityProvider {
  /** Cluster-local, so that it may be plain http and have a private address. */
  readonly issuer: string;
  /** From now on these are its keys. */
  readonly publish: (keySet: object) => Promise<void>;
  /** Ends it for good. */
  readonly stop: () => Promise<void>;
}

export async function identityProvider(kubectl: Kubectl, namespace: string): Promise<IdentityProvider> {
  const metadata = { name: 'idp', namespace, labels: { app: 'idp' } };
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects(metadata) }));
  await kubectl(['wait', '--for=condition=Ready', 'pod/idp', '-n', namespace, '--timeout=90s']);
  const address = (await kubectl(['get', 'service', 'idp', '-n', namespace, '-o', 'jsonpath={.spec.clusterIP}'])).trim();
  const put = async (path: string, document: object): Promise<void> => {
    const answer = await fetch(`http://${address}${path}`, { method: 'PUT', body: JSON.stringify(document) });
    if (!answer.ok) throw new Error(`the identity provider answered ${answer.status}`);
  };
  const issuer = `http://idp.${namespace}.svc.cluster.local`;
  await put('/.well-known/openid-configuration', { issuer, jwks_uri: `${issuer}/keys` });
  return {
    issuer,
    publish: (keySet) => put('/keys', keySet),
    stop: async () => void (await kubectl(['delete', 'pod', 'idp', '-n', namespace, '--grace-period=1'])),
  };
}

function objects(metadata: { readonly name: string }): readonly object[] {
  const pod = {
    containers: [
      {
        name: 'idp',
        image: NODE_PUBLISHED,
        imagePullPolicy: 'IfNotPresent',
        command: ['node', '/program/main.mjs'],
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        volumeMounts: [{ name: 'program', mountPath: '/program' }],
        resources: { requests: { cpu: '10m' } },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
    volumes: [{ name: 'program', configMap: { name: metadata.name } }],
    securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
  };
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'main.mjs': PROGRAM } },
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: { app: 'idp' }, ports: [{ port: 80, targetPort: 8080 }] } },
    { apiVersion: 'v1', kind: 'Pod', metadata, spec: pod },
  ];
}
