/** The shortest spec. */
export const CONTAINER = { container: { image: 'ghcr.io/org/server:v1' } } as const;

const remote = { url: 'https://mcp.example.com/mcp' };
const secretKeyRef = { name: 'a', key: 'b' };
const tcp = { tcpSocket: { port: 8080 } };
const images = [
  'server:v1',
  'org/server:v1',
  'ghcr.io/org/server:v1.2.3-rc.1',
  'registry.example.com:5000/a/b_c/d--e:1',
  'localhost:5000/server:1',
  '[::1]:5000/server:1',
  `ghcr.io/org/server@sha256:${'0'.repeat(64)}`,
  `ghcr.io/org/server:v1@sha256:${'a'.repeat(64)}`,
];

const each = (title: string, values: readonly string[], spec: (value: string) => object): Record<string, object> =>
  Object.fromEntries(values.map((value) => [`${title} ${value}`, spec(value)]));

const npm = (version: string, name = '@modelcontextprotocol/server-filesystem') => ({ package: { npm: { name, version } } });
const pypi = (version: string, name = 'mcp-server-git') => ({ package: { pypi: { name, version } } });
const served = (spec: object) => ({ ...CONTAINER, ...spec });
const jwt = { name: 'corp', issuer: 'https://idp.example.com', audiences: ['mcp'] };

/** Specs that the API server accepts, beside those of api/admission.refused.ts, so that every rule is seen from both sides. */
export const ACCEPTED: Readonly<Record<string, object>> = {
  'with an image alone': CONTAINER,
  ...each('with image', images, (image) => ({ container: { image } })),
  ...each('as npm package in version', ['2026.7.4', '1.0.0-beta.1', '0.1.2+build.5'], (version) => npm(version)),
  ...each('as npm package', ['server', '@org/server.js', '@a-b/c_d'], (name) => npm('1.0.0', name)),
  ...each('as PyPI package in version', ['1.2', '2026.7.4', '2.0rc1', '1!2.0.post1.dev3+local.1'], (version) => pypi(version)),
  ...each('as PyPI package', ['mcp[cli]', 'A.b-c_d', 'mcp[cli,ws]'], (name) => pypi('1.0', name)),
  'as PyPI package with an entrypoint': {
    package: { pypi: { name: 'a', version: '1.0', entrypoint: 'mcp-server-a' }, image: 'python:3.14-slim', args: ['--all'] },
  },
  ...each(
    'at remote URL',
    ['https://mcp.example.com', 'https://mcp.example.com:8443/mcp?a=b', 'http://a.b.svc/mcp', 'http://a.b.svc.cluster.local:8080/mcp'],
    (url) => ({ remote: { url } }),
  ),
  'at a remote URL with headers and a CA': {
    remote: {
      ...remote,
      headers: [
        { name: 'X-Api-Key', valueFrom: { secretKeyRef } },
        { name: 'X-Org', value: 'a' },
      ],
      caBundle: { configMapKeyRef: secretKeyRef },
    },
  },
  'at a Service, with a path': { service: { name: 'existing', port: 8080 }, transport: { path: '/v1/mcp' } },
  'behind a tunnel': { tunnel: { peer: 'edge-7', namespace: 'tools', name: 'github' } },
  'over SSE': served({ transport: { type: 'SSE', port: 8000, path: '/sse' } }),
  'over Stdio from a container with a command': {
    container: { image: 'server:v1', command: ['/server'], args: ['stdio'] },
    transport: { type: 'Stdio' },
    stdio: { processes: 'PerSession', maxProcesses: 4 },
  },
  'over Stdio from a package': { ...npm('1.0.0'), transport: { type: 'Stdio' } },
  'on loopback': served({ transport: { bind: 'Loopback', port: 3000 } }),
  'with variables of every kind': served({
    env: [
      { name: 'A', value: '' },
      { name: 'B' },
      { name: 'C', valueFrom: { secretKeyRef: { ...secretKeyRef, optional: true } } },
      { name: 'D', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'E', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
      { name: 'npm_config_registry', valueFrom: { configMapKeyRef: { name: 'a.b', key: 'c.d_e-f' } } },
    ],
    envFrom: [{ configMapRef: { name: 'a' } }, { prefix: 'X_', secretRef: { name: 'b', optional: true } }],
  }),
  'with mounts of every kind': served({
    mounts: [
      { mountPath: '/a', configMap: { name: 'a', items: [{ key: 'b', path: 'c/d', mode: 256 }] } },
      { mountPath: '/b', secret: { secretName: 'a', defaultMode: 256, optional: true } },
      { mountPath: '/c', emptyDir: {} },
      { mountPath: '/d', emptyDir: { medium: 'Memory', sizeLimit: '64Mi' }, readOnly: false },
      { mountPath: '/e', persistentVolumeClaim: { claimName: 'data' }, readOnly: false, subPath: 'a/b' },
      { mountPath: '/f', persistentVolumeClaim: { claimName: 'data' }, readOnly: true, subPathExpr: '$(POD)/b' },
      { mountPath: '/g', image: { reference: 'data:v1' } },
      {
        mountPath: '/h',
        projected: {
          sources: [
            { configMap: { name: 'a' } },
            { secret: { name: 'b' } },
            { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
            { serviceAccountToken: { path: 'token', audience: 'vault', expirationSeconds: 600 } },
            { clusterTrustBundle: { name: 'corp', path: 'ca.pem' } },
          ],
        },
      },
    ],
  }),
  'with resources as numbers and quantities': served({
    resources: { requests: { cpu: 1, memory: '64Mi' }, limits: { cpu: '1500m', 'nvidia.com/gpu': 1 } },
  }),
  'with probes of every kind': served({
    probes: {
      startup: { ...tcp, failureThreshold: 30, successThreshold: 1 },
      liveness: { httpGet: { port: 'mcp', path: '/healthz', httpHeaders: [{ name: 'A', value: 'b' }] }, terminationGracePeriodSeconds: 5 },
      readiness: { grpc: { port: 9090 }, successThreshold: 2 },
    },
  }),
  'with security contexts': served({
    podSecurityContext: {
      runAsUser: 0,
      runAsNonRoot: false,
      fsGroupChangePolicy: 'OnRootMismatch',
      sysctls: [{ name: 'net.core.somaxconn', value: '1024' }],
    },
    securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'a.json' }, capabilities: { add: ['NET_BIND_SERVICE'] } },
  }),
  'with anything in a pod template': served({
    podTemplate: {
      metadata: { labels: { a: 'b' } },
      spec: { containers: [{ name: 'sidecar', image: 'a', anything: { goes: [1] } }], hostAliases: [] },
    },
  }),
  'with labels and annotations': served({
    labels: { a: '', 'example.com/b': 'C_d.e-f' },
    annotations: { 'example.com/a': 'anything goes: {}' },
  }),
  stopped: served({ replicas: 0 }),
  suspended: served({ suspend: true }),
  'with autoscaling': served({
    autoscaling: {
      minReplicas: 2,
      maxReplicas: 10,
      cpuUtilization: 70,
      memoryUtilization: 80,
      requestsPerSecond: 50,
      behavior: {
        scaleDown: { stabilizationWindowSeconds: 60, policies: [{ type: 'Percent', value: 10, periodSeconds: 60 }], tolerance: '0.05' },
      },
    },
  }),
  'with a disruption budget and a rollout in percent': served({
    disruptionBudget: { maxUnavailable: '25%' },
    rollout: { maxSurge: '100%', maxUnavailable: '0%', drainSeconds: 0, onReferenceChange: 'Ignore' },
  }),
  'with a rollout that takes pods first': served({ rollout: { maxSurge: 0, maxUnavailable: 1 } }),
  'with scheduling': served({
    scheduling: {
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ operator: 'Exists' }, { key: 'gpu', value: 'true', effect: 'NoExecute', tolerationSeconds: 60 }],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] }],
          },
        },
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, podAffinityTerm: { topologyKey: 'zone', labelSelector: { matchLabels: { a: 'b' } }, mismatchLabelKeys: ['c'] } },
          ],
        },
      },
      topologySpreadConstraints: [{ topologyKey: 'zone', maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} }],
      priorityClassName: 'system-cluster-critical',
    },
  }),
  'with rights': served({
    kubernetesAccess: {
      rules: [{ apiGroups: [''], resources: ['pods', 'pods/log'], verbs: ['get', 'list', 'watch'] }],
      clusterRoles: ['view', 'system:auth-delegator'],
      namespaces: ['staging'],
      tokenExpirationSeconds: 600,
      audience: '',
    },
    serviceAccount: { name: '', annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/x' } },
  }),
  'with peers': served({
    network: {
      managed: true,
      ingressFrom: [{ podSelector: {} }, { namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'Exists' }] } }],
      egress: { internet: false, dns: false, to: [{ ipBlock: { cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] } }] },
    },
  }),
  'with every exposure': served({
    expose: {
      service: { type: 'LoadBalancer', port: 8080, annotations: { a: 'b' } },
      allowedOrigins: ['https://app.example.com', 'http://localhost:3000'],
      httpRoute: { parentRefs: [{ name: 'public', namespace: 'gateways' }], hostnames: ['*.mcp.example.com'], path: '/github' },
      ingress: { className: 'nginx', host: 'github.mcp.example.com', tlsSecretName: 'github-tls' },
    },
  }),
  'with authentication of every kind': served({
    authentication: {
      type: 'Guard',
      serviceAccounts: {},
      jwt: [
        jwt,
        { ...jwt, name: 'b', issuer: 'http://idp.auth.svc', jwksURI: 'http://idp.auth.svc/keys' },
        { ...jwt, name: 'c', issuer: 'https://c.example.com', jwksURI: '', jwks: { configMapKeyRef: secretKeyRef } },
      ],
      apiKeys: { secretName: 'github-keys' },
      forward: 'Headers',
      forwardHeaders: { user: 'X-User' },
    },
  }),
  'with tokens for this server alone, which it gets': served({
    authentication: { type: 'Guard', forward: 'Token', serviceAccounts: { audiences: ['https://kubernetes.default.svc'] }, jwt: [jwt] },
  }),
  'with anonymous callers alone': served({ authentication: { type: 'Guard', anonymous: true } }),
  'with OAuth of its own': served({ authentication: { type: 'Upstream' } }),
  'without a guard, whatever else needs none': served({
    guard: { enabled: false },
    transport: { type: 'SSE', bind: 'AllInterfaces' },
    policy: { required: false },
    authentication: { type: 'None' },
    autoscaling: { maxReplicas: 2, cpuUtilization: 70 },
    verification: { headers: [{ name: 'X-Org', value: 'a' }] },
  }),
  'with what needs a guard, which is there unless refused': served({
    transport: { bind: 'Loopback' },
    policy: { required: true },
    autoscaling: { maxReplicas: 2, requestsPerSecond: 50 },
    verification: { headers: [{ name: 'Authorization', valueFrom: { secretKeyRef } }] },
  }),
  'with verification and telemetry': served({
    session: { mode: 'Stateless' },
    verification: {
      interval: '1h30m',
      timeout: '500ms',
      requiredTools: ['a'],
      headers: [{ name: 'Authorization', valueFrom: { secretKeyRef } }],
    },
    telemetry: {
      podMonitor: { enabled: true, labels: { release: 'prometheus' } },
      scrapeFrom: [{ namespaceSelector: {} }],
      otlpEndpoint: '',
    },
  }),
};
