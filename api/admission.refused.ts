import { CONTAINER } from './admission.accepted.ts';

interface Refusal {
  readonly spec: object;
  /** Where the API server says that it is wrong. */
  readonly field: string;
  /** Part of what it says. */
  readonly message: string;
}

const refusal = (field: string, message: string, spec: object): Refusal => ({ field: `spec${field}`, message, spec });
const served = (field: string, message: string, spec: object): Refusal => refusal(field, message, { ...CONTAINER, ...spec });

const remote = { url: 'https://mcp.example.com/mcp' };
const secretKeyRef = { name: 'a', key: 'b' };
const jwt = { name: 'corp', issuer: 'https://idp.example.com', audiences: ['mcp'] };
const guard = (authentication: object) => ({ authentication: { type: 'Guard', ...authentication } });
const mount = (entry: object) => ({ mounts: [{ mountPath: '/data', ...entry }] });
const UNGUARDED = { guard: { enabled: false } };
const tcp = { tcpSocket: { port: 8080 } };

/** Specs that the API server refuses, keyed by what is wrong with them. Every CEL rule of the schema is here once. */
export const REFUSED: Readonly<Record<string, Refusal>> = {
  // What runs
  'nothing runs': refusal('', 'say what runs: set exactly one of container, package, remote and service', {}),
  'two things run': refusal('', 'say what runs: set exactly one of container, package, remote and service', { ...CONTAINER, remote }),
  'an image without tag and digest': refusal('.container.image', 'must be an image reference with a tag or digest', {
    container: { image: 'ghcr.io/org/server' },
  }),
  'an image with a tag on a port alone': refusal('.container.image', 'must be an image reference', {
    container: { image: 'registry:5000/org/server' },
  }),
  'an image with a short digest': refusal('.container.image', 'must be an image reference', {
    container: { image: 'org/server@sha256:abc' },
  }),
  'an image in capitals': refusal('.container.image', 'must be an image reference', { container: { image: 'Org/Server:v1' } }),
  'an image with a space': refusal('.container.image', 'must be an image reference', { container: { image: 'server:v1 ' } }),
  'a package from two registries': refusal('.package', 'set exactly one of npm and pypi', {
    package: { npm: { name: 'a', version: '1.0.0' }, pypi: { name: 'a', version: '1.0' } },
  }),
  'a package from nowhere': refusal('.package', 'set exactly one of npm and pypi', { package: { args: ['/data'] } }),
  ...versions('npm', 'must be one exact version such as 1.2.3; ranges and tags', [
    'latest',
    '^1.2.3',
    '~1.2.3',
    '1.2',
    '1.x',
    '>=1.0.0',
    '1.2.3 || 2.0.0',
    'v1.2.3',
  ]),
  ...versions('pypi', 'must be one exact version such as 1.2.3 or 2.0rc1', ['latest', '>=1.2', '==1.2.3', '1.*', '1.2.3,<2', '~=1.2']),
  'an npm package by its URL': refusal('.package.npm.name', 'must be the name of an npm package', {
    package: { npm: { name: 'git+https://x/y', version: '1.0.0' } },
  }),
  'a PyPI package by its path': refusal('.package.pypi.name', 'must be the name of a PyPI package', {
    package: { pypi: { name: './server', version: '1.0' } },
  }),
  'an entrypoint with arguments': refusal('.package.pypi.entrypoint', 'must be the name of a console script', {
    package: { pypi: { name: 'a', version: '1.0', entrypoint: 'serve --all' } },
  }),
  'a remote server over plain http': refusal('.remote.url', 'must be an https URL, or http to a cluster-local name', {
    remote: { url: 'http://mcp.example.com/mcp' },
  }),
  'a remote server that only looks cluster-local': refusal('.remote.url', 'must be an https URL', {
    remote: { url: 'http://evil.example.com/a.b.svc' },
  }),
  'a remote server with a password in its URL': refusal('.remote.url', 'without user, password and fragment', {
    remote: { url: 'https://me:secret@example.com/mcp' },
  }),
  'a header with value and source': refusal('.remote.headers[0]', 'set exactly one of value and valueFrom', {
    remote: { ...remote, headers: [{ name: 'X-Api-Key', value: 'a', valueFrom: { secretKeyRef } }] },
  }),
  'a header with two sources': refusal('.remote.headers[0].valueFrom', 'set exactly one of secretKeyRef and configMapKeyRef', {
    remote: { ...remote, headers: [{ name: 'X-Api-Key', valueFrom: { secretKeyRef, configMapKeyRef: secretKeyRef } }] },
  }),
  'a header whose name is none': refusal('.remote.headers[0].name', 'must be a header name', {
    remote: { ...remote, headers: [{ name: 'X Key', value: 'a' }] },
  }),
  'a header twice': refusal('.remote.headers[1]', 'Duplicate value', {
    remote: {
      ...remote,
      headers: [
        { name: 'X-Key', value: 'a' },
        { name: 'X-Key', value: 'b' },
      ],
    },
  }),
  'a tunnel into no namespace': refusal('.tunnel.namespace', 'must be a DNS label', {
    tunnel: { peer: 'edge', namespace: 'A.b', name: 'github' },
  }),

  // How it speaks
  'a Stdio container without command': served('.container', 'with transport type Stdio set container.command', {
    transport: { type: 'Stdio' },
  }),
  'a remote Stdio server': refusal('.transport.type', 'Stdio is for container and package alone', { remote, transport: { type: 'Stdio' } }),
  'stdio settings for an HTTP server': served('.stdio', 'stdio belongs to transport type Stdio', { stdio: { processes: 'PerSession' } }),
  'a Stdio server with a port': served('.transport.port', 'a Stdio server has no port', { transport: { type: 'Stdio', port: 8080 } }),
  'a Stdio server with a path': served('.transport.path', 'a Stdio server has no path', { transport: { type: 'Stdio', path: '/mcp' } }),
  'a Stdio server on loopback': served('.transport.bind', 'a Stdio server listens nowhere', {
    transport: { type: 'Stdio', bind: 'Loopback' },
  }),
  'a remote server with a port': refusal('.transport.port', 'a remote server has its port in remote.url', {
    remote,
    transport: { port: 8080 },
  }),
  'a remote server with a path': refusal('.transport.path', 'a remote server has its path in remote.url', {
    remote,
    transport: { path: '/mcp' },
  }),
  'a service with a port of its own': refusal('.transport.port', 'the port of a service is service.port', {
    service: { name: 'existing', port: 8080 },
    transport: { port: 8080 },
  }),
  'a remote server on loopback': refusal('.transport.bind', 'only a container or package shares its loopback interface', {
    remote,
    transport: { bind: 'Loopback' },
  }),
  ...Object.fromEntries(
    [15080, 15090, 15091].map((port) => [
      `port ${port} of the guard`,
      served('.transport.port', 'are ports of the guard in the same pod', { transport: { port } }),
    ]),
  ),
  'port 0': served('.transport.port', 'should be greater than or equal to 1', { transport: { port: 0 } }),
  'an unknown transport': served('.transport.type', 'supported values: "StreamableHTTP", "SSE", "Stdio"', {
    transport: { type: 'WebSocket' },
  }),
  'a relative path': served('.transport.path', 'must be a path that begins with a slash', { transport: { path: 'mcp' } }),

  // The container
  'variables for a remote server': refusal('', 'remote and service run no container of the server: remove env', {
    remote,
    env: [{ name: 'A', value: 'b' }],
  }),
  'rights for a Service': refusal('', 'remote and service run no container of the server', {
    service: { name: 'a', port: 80 },
    kubernetesAccess: {},
  }),
  'a variable with value and source': served('.env[0]', 'set value or valueFrom, not both', {
    env: [{ name: 'A', value: 'b', valueFrom: { secretKeyRef } }],
  }),
  'a variable with two sources': served('.env[0].valueFrom', 'set exactly one of configMapKeyRef, secretKeyRef, fieldRef', {
    env: [{ name: 'A', valueFrom: { secretKeyRef, configMapKeyRef: secretKeyRef } }],
  }),
  'a variable whose name has an equals sign': served('.env[0].name', 'must be the name of an environment variable', {
    env: [{ name: 'A=B', value: 'c' }],
  }),
  'a variable twice': served('.env[1]', 'Duplicate value', {
    env: [
      { name: 'A', value: 'b' },
      { name: 'A', value: 'c' },
    ],
  }),
  'a variable from a Secret that cannot exist': served('.env[0].valueFrom.secretKeyRef.name', 'must be the name of a Kubernetes object', {
    env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'A_b', key: 'c' } } }],
  }),
  'a variable from a key that cannot exist': served('.env[0].valueFrom.secretKeyRef.key', 'must be a key of a ConfigMap or Secret', {
    env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'a', key: 'b/c' } } }],
  }),
  'variables from nowhere': served('.envFrom[0]', 'set exactly one of configMapRef and secretRef', { envFrom: [{ prefix: 'A_' }] }),
  'a mount of nothing': served('.mounts[0]', 'set exactly one of configMap, secret, emptyDir', mount({})),
  'a mount of two things': served(
    '.mounts[0]',
    'set exactly one of configMap, secret, emptyDir',
    mount({ configMap: { name: 'a' }, emptyDir: {} }),
  ),
  'a mount with two paths inside': served(
    '.mounts[0]',
    'set subPath or subPathExpr, not both',
    mount({ emptyDir: {}, subPath: 'a', subPathExpr: 'b' }),
  ),
  'a mount that leaves its volume': served(
    '.mounts[0].subPath',
    'must be a relative path without ..',
    mount({ emptyDir: {}, subPath: 'a/../../b' }),
  ),
  'a ConfigMap to write to': served(
    '.mounts[0].readOnly',
    'only emptyDir and persistentVolumeClaim can be written',
    mount({ configMap: { name: 'a' }, readOnly: false }),
  ),
  'a mount at a relative path': served('.mounts[0].mountPath', 'must be an absolute path', {
    mounts: [{ mountPath: 'data', emptyDir: {} }],
  }),
  'two mounts at one path': served('.mounts[1]', 'Duplicate value', {
    mounts: [
      { mountPath: '/a', emptyDir: {} },
      { mountPath: '/a', emptyDir: {} },
    ],
  }),
  'a memory limit that is no quantity': served('.resources.limits.memory', 'should match', { resources: { limits: { memory: '1 GB' } } }),
  'a probe with two handlers': served('.probes.liveness', 'set exactly one of exec, httpGet, tcpSocket and grpc', {
    probes: { liveness: { ...tcp, httpGet: { port: 8080 } } },
  }),
  'a startup probe that wants two successes': served(
    '.probes.startup.successThreshold',
    'one success ends the failure of a startup probe',
    {
      probes: { startup: { ...tcp, successThreshold: 2 } },
    },
  ),
  'a liveness probe that wants two successes': served(
    '.probes.liveness.successThreshold',
    'one success ends the failure of a liveness probe',
    {
      probes: { liveness: { ...tcp, successThreshold: 2 } },
    },
  ),
  'a readiness probe with a grace period': served(
    '.probes.readiness.terminationGracePeriodSeconds',
    'a readiness probe ends no container',
    {
      probes: { readiness: { ...tcp, terminationGracePeriodSeconds: 5 } },
    },
  ),
  'a seccomp profile without its file': served('.securityContext.seccompProfile', 'localhostProfile belongs to type Localhost', {
    securityContext: { seccompProfile: { type: 'Localhost' } },
  }),
  'a label with a bad key': served('.labels', 'a key of labels must be a name', { labels: { 'a/b/c': 'd' } }),
  'a label with a bad value': served('.labels', 'a label value must be empty or at most 63', { labels: { a: 'b c' } }),
  'an annotation with a bad key': served('.annotations', 'a key of annotations must be a name', { annotations: { 'a b': 'c' } }),

  // How many
  'more pods at least than at most': served('.autoscaling.minReplicas', 'minReplicas must not exceed maxReplicas', {
    autoscaling: { minReplicas: 3, maxReplicas: 2, cpuUtilization: 80 },
  }),
  'autoscaling by nothing': served('.autoscaling', 'name what to scale by', { autoscaling: { maxReplicas: 2 } }),
  'autoscaling to zero': served('.autoscaling.minReplicas', 'should be greater than or equal to 1', {
    autoscaling: { minReplicas: 0, maxReplicas: 2, cpuUtilization: 80 },
  }),
  'negative replicas': served('.replicas', 'should be greater than or equal to 0', { replicas: -1 }),
  'a disruption budget of words': served('.disruptionBudget.maxUnavailable', 'must be a number of pods, or a percentage', {
    disruptionBudget: { maxUnavailable: 'one' },
  }),
  'a rollout with fewer than no pods': served('.rollout.maxSurge', 'must not be negative', { rollout: { maxSurge: -1 } }),
  'a rollout that cannot move': served('.rollout.maxUnavailable', 'maxSurge and maxUnavailable cannot both be 0', {
    rollout: { maxSurge: 0 },
  }),
  'a rollout that cannot move by percentages': served('.rollout.maxUnavailable', 'maxSurge and maxUnavailable cannot both be 0', {
    rollout: { maxSurge: '0%' },
  }),

  // What it may
  'a ServiceAccount that cannot exist': served('.serviceAccount.name', 'must be empty or the name of a Kubernetes object', {
    serviceAccount: { name: 'A' },
  }),
  'a ClusterRole that cannot exist': served('.kubernetesAccess.clusterRoles[0]', 'must be the name of a ClusterRole', {
    kubernetesAccess: { clusterRoles: ['a/b'] },
  }),
  'five ClusterRoles': served('.kubernetesAccess.clusterRoles', 'must have at most 4 items', {
    kubernetesAccess: { clusterRoles: ['a', 'b', 'c', 'd', 'e'] },
  }),
  'seventeen namespaces': served('.kubernetesAccess.namespaces', 'must have at most 16 items', {
    kubernetesAccess: { namespaces: Array.from({ length: 17 }, (_, index) => `n${index}`) },
  }),
  'a namespace twice': served('.kubernetesAccess.namespaces[1]', 'Duplicate value', { kubernetesAccess: { namespaces: ['a', 'a'] } }),
  'a token for less than ten minutes': served('.kubernetesAccess.tokenExpirationSeconds', 'should be greater than or equal to 600', {
    kubernetesAccess: { tokenExpirationSeconds: 599 },
  }),
  'a token for more than a day': served('.kubernetesAccess.tokenExpirationSeconds', 'should be less than or equal to 86400', {
    kubernetesAccess: { tokenExpirationSeconds: 86_401 },
  }),
  'a rule without verbs': served('.kubernetesAccess.rules[0].verbs', 'should have at least 1 items', {
    kubernetesAccess: { rules: [{ apiGroups: [''], resources: ['pods'], verbs: [] }] },
  }),
  'a peer by address and by label': served('.network.ingressFrom[0]', 'set ipBlock, or podSelector and namespaceSelector', {
    network: { ingressFrom: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] },
  }),
  'a peer with a broken range': served('.network.egress.to[0].ipBlock.cidr', 'must be a CIDR', {
    network: { egress: { to: [{ ipBlock: { cidr: '10.0.0.0' } }] } },
  }),

  // Who reaches it
  'an origin with a path': served('.expose.allowedOrigins[0]', 'must be an origin', {
    expose: { allowedOrigins: ['https://app.example.com/x'] },
  }),
  'an Ingress for a URL': served('.expose.ingress.host', 'must be a host name in lower case', {
    expose: { ingress: { host: 'https://a.example.com' } },
  }),
  'a route to no Gateway': served('.expose.httpRoute.parentRefs', 'should have at least 1 items', {
    expose: { httpRoute: { parentRefs: [] } },
  }),
  'a guard that takes nobody': served('.authentication', 'with type Guard nobody could call', guard({})),
  'credentials that nobody checks': served('.authentication', 'are checked with type Guard alone', {
    authentication: { apiKeys: { secretName: 'keys' } },
  }),
  'forwarding callers that nobody checks': served('.authentication.forward', 'only a caller that the guard has checked can be forwarded', {
    authentication: { type: 'Upstream', forward: 'Headers' },
  }),
  'names of headers that are not sent': served(
    '.authentication.forwardHeaders',
    'forwardHeaders belongs to forward: Headers',
    guard({ anonymous: true, forwardHeaders: {} }),
  ),
  'keys from two places': served(
    '.authentication.jwt[0]',
    'set jwks or jwksURI, not both',
    guard({ jwt: [{ ...jwt, jwksURI: 'https://idp/keys', jwks: { configMapKeyRef: secretKeyRef } }] }),
  ),
  'keys over plain http': served(
    '.authentication.jwt[0].jwksURI',
    'must be empty or an https URL',
    guard({ jwt: [{ ...jwt, jwksURI: 'http://idp.example.com/keys' }] }),
  ),
  'an issuer twice': served('.authentication.jwt', 'each issuer once', guard({ jwt: [jwt, { ...jwt, name: 'again' }] })),
  'tokens for every server, which one of them gets': served(
    '.authentication.forward',
    'name an audience of its own in serviceAccounts.audiences',
    guard({ serviceAccounts: { audiences: ['own', 'mcp-fleet.dev'] }, forward: 'Token' }),
  ),
  'an issuer for no audience': served(
    '.authentication.jwt[0].audiences',
    'should have at least 1 items',
    guard({ jwt: [{ ...jwt, audiences: [] }] }),
  ),

  // Without a guard
  'a remote server without a guard': refusal('.guard.enabled', 'remote needs the guard: remove guard.enabled: false', {
    ...UNGUARDED,
    remote,
  }),
  'a Service without a guard': refusal('.guard.enabled', 'service needs the guard', { ...UNGUARDED, service: { name: 'a', port: 80 } }),
  'Stdio without a guard': refusal('.guard.enabled', 'transport.type: Stdio needs the guard', {
    ...UNGUARDED,
    container: { image: 'server:v1', command: ['/server'] },
    transport: { type: 'Stdio' },
  }),
  'loopback without a guard': served('.guard.enabled', 'transport.bind: Loopback needs the guard', {
    ...UNGUARDED,
    transport: { bind: 'Loopback' },
  }),
  'authentication without a guard': served('.guard.enabled', 'authentication.type other than None needs the guard', {
    ...UNGUARDED,
    authentication: { type: 'Upstream' },
  }),
  'a required policy without a guard': served('.guard.enabled', 'policy.required: true needs the guard', {
    ...UNGUARDED,
    policy: { required: true },
  }),
  'scaling by requests without a guard': served('.guard.enabled', 'autoscaling.requestsPerSecond needs the guard', {
    ...UNGUARDED,
    autoscaling: { maxReplicas: 2, requestsPerSecond: 50 },
  }),
  'a verification with a Secret without a guard': served('.guard.enabled', 'verification.headers with valueFrom needs the guard', {
    ...UNGUARDED,
    verification: { headers: [{ name: 'Authorization', valueFrom: { secretKeyRef } }] },
  }),

  // How it is watched
  'a verification all the time': served('.verification.interval', 'interval must be from 10s to 24h', { verification: { interval: '1s' } }),
  'a verification that waits for ever': served('.verification.timeout', 'timeout must be from 100ms to 5m', {
    verification: { timeout: '1h' },
  }),
  'a duration without unit': served('.verification.interval', 'must be a duration such as 30s', { verification: { interval: '300' } }),
  'traces to no URL': served('.telemetry.otlpEndpoint', 'must be empty or an http or https URL', {
    telemetry: { otlpEndpoint: 'collector:4318' },
  }),
};

function versions(registry: 'npm' | 'pypi', message: string, list: readonly string[]): Record<string, Refusal> {
  return Object.fromEntries(
    list.map((version) => [
      `version ${version} of ${registry}`,
      refusal(`.package.${registry}.version`, message, { package: { [registry]: { name: 'a', version } } }),
    ]),
  );
}
