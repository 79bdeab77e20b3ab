import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import { type AcceptanceInput, firstViolation, isStalled } from './acceptance.ts';
import { server, UNGUARDED } from './builders.ts';
import type { Reference } from './references.ts';

const reference = (kind: Reference['kind'], name: string, optional = false): Reference => ({ kind, name, optional, writable: false });
const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }];

const violation = (spec: Partial<MCPServerSpecInput>, changes: Partial<AcceptanceInput> = {}) =>
  firstViolation({
    server: server(spec),
    references: [],
    exists: () => true,
    grantable: rules,
    grantableClusterRoles: ['view'],
    namespaces: [],
    ...changes,
  });

describe('a server', () => {
  const accepted: Record<string, [spec: Partial<MCPServerSpecInput>, changes?: Partial<AcceptanceInput>]> = {
    'that is plain': [{}],
    'that asks for what may be granted': [{ kubernetesAccess: { rules, clusterRoles: ['view'] } }],
    'whose optional references are missing': [{}, { references: [reference('ConfigMap', 'maybe', true)], exists: () => false }],
    'that merges a sidecar into its pod': [
      {
        podTemplate: {
          metadata: { labels: { team: 'a' } },
          spec: { containers: [{ name: 'logs', image: 'x', ports: [{ containerPort: 9000 }] }] },
        },
      },
    ],
    'without a guard': [UNGUARDED],
    'that shares its processes where no guard is': [{ ...UNGUARDED, podTemplate: { spec: { shareProcessNamespace: true } } }],
    'behind a guard, sharing nothing': [{ podTemplate: { spec: { hostNetwork: false, hostPID: null } } }],
    'on loopback behind a guard, with API keys and a required policy': [
      {
        transport: { bind: 'Loopback' },
        authentication: { type: 'Guard', apiKeys: { secretName: 'keys' } },
        policy: { required: true },
      },
    ],
    'that is remote': [{ remote: { url: 'https://x.example.com/mcp' } }],
    'that is a Service': [{ service: { name: 'x', port: 80 } }],
    'that speaks Stdio': [{ container: { image: 'x:1', command: ['x'] }, transport: { type: 'Stdio' } }],
    'that scales by requests': [{ autoscaling: { maxReplicas: 2, requestsPerSecond: 5 } }],
    'that works in the namespaces of the operator': [{ kubernetesAccess: { rules, namespaces: ['a'] } }, { namespaces: ['a', 'agents'] }],
  };
  for (const [name, [spec, changes]] of Object.entries(accepted))
    it(`${name} is accepted`, () => expect(violation(spec, changes)).toBeUndefined());

  const refused: Record<string, [spec: Partial<MCPServerSpecInput>, reason: string, message: RegExp, changes?: Partial<AcceptanceInput>]> =
    {
      'with a tunnel': [{ tunnel: { peer: 'a', namespace: 'b', name: 'c' } }, 'InvalidSpec', /set by the operator alone/],
      'that is remote, without a guard': [
        { ...UNGUARDED, remote: { url: 'https://x.example.com/mcp' } },
        'GuardRequired',
        /spec\.remote needs the guard/,
      ],
      'that is a Service, without a guard': [
        { ...UNGUARDED, service: { name: 'x', port: 80 } },
        'GuardRequired',
        /spec\.service needs the guard/,
      ],
      'over Stdio, without a guard': [
        { ...UNGUARDED, container: { image: 'x:1', command: ['x'] }, transport: { type: 'Stdio' } },
        'GuardRequired',
        /transport\.type: Stdio needs the guard/,
      ],
      'on loopback, without a guard': [{ ...UNGUARDED, transport: { bind: 'Loopback' } }, 'GuardRequired', /transport\.bind: Loopback/],
      'with authentication, without a guard': [
        { ...UNGUARDED, authentication: { type: 'Guard', anonymous: true } },
        'GuardRequired',
        /authentication\.type/,
      ],
      'that requires a policy, without a guard': [{ ...UNGUARDED, policy: { required: true } }, 'GuardRequired', /policy\.required/],
      'that scales by requests, without a guard': [
        { ...UNGUARDED, autoscaling: { maxReplicas: 2, requestsPerSecond: 5 } },
        'GuardRequired',
        /requestsPerSecond/,
      ],
      'that is verified with a Secret, without a guard': [
        { ...UNGUARDED, verification: { headers: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } }] } },
        'GuardRequired',
        /verification\.headers/,
      ],
      'with several of these, all of which are named': [
        { ...UNGUARDED, transport: { bind: 'Loopback' }, policy: { required: true } },
        'GuardRequired',
        /transport\.bind: Loopback, spec\.policy\.required: true needs/,
      ],
      'with a label of ours': [{ labels: { 'mcp-fleet.dev/server': 'other' } }, 'ProtectedField', /labels\[mcp-fleet\.dev\/server\]/],
      'with a recommended label in the template': [
        { podTemplate: { metadata: { labels: { 'app.kubernetes.io/name': 'x' } } } },
        'ProtectedField',
        /podTemplate\.metadata\.labels\[app\.kubernetes\.io\/name\]/,
      ],
      'with an annotation of ours': [{ annotations: { 'mcp-fleet.dev/config-digest': 'x' } }, 'ProtectedField', /annotations\[/],
      'with a ServiceAccount in the template': [
        { podTemplate: { spec: { serviceAccountName: 'x' } } },
        'ProtectedField',
        /use serviceAccount\.name/,
      ],
      'with a token in the template': [
        { podTemplate: { spec: { automountServiceAccountToken: true } } },
        'ProtectedField',
        /use kubernetesAccess/,
      ],
      'with a guard of its own': [
        { podTemplate: { spec: { initContainers: [{ name: 'guard' }] } } },
        'ProtectedField',
        /initContainers\[guard\]/,
      ],
      'with other ports in the template': [
        { podTemplate: { spec: { containers: [{ name: 'server', ports: [] }] } } },
        'ProtectedField',
        /use transport\.port/,
      ],
      'without its container': [
        { podTemplate: { spec: { containers: [{ name: 'server', $patch: 'delete' }] } } },
        'ProtectedField',
        /\$patch/,
      ],
      'with a port of the guard': [
        { podTemplate: { spec: { containers: [{ name: 'logs', ports: [{ containerPort: 15_090 }] }] } } },
        'ProtectedField',
        /15090 is a port of the guard/,
      ],
      'with a port called as the Service calls it': [
        { podTemplate: { spec: { containers: [{ name: 'logs', ports: [{ name: 'mcp', containerPort: 9000 }] }] } } },
        'ProtectedField',
        /containers\[logs\]\.ports\[mcp\] is protected: .*choose another/,
      ],
      'with such a port of a sidecar': [
        { podTemplate: { spec: { initContainers: [{ name: 'proxy', ports: [{ name: 'mcp', containerPort: 9000 }] }] } } },
        'ProtectedField',
        /initContainers\[proxy\]\.ports\[mcp\]/,
      ],
      'with a volume of the guard': [
        { podTemplate: { spec: { volumes: [{ name: 'guard-policy', emptyDir: {} }] } } },
        'ProtectedField',
        /spec\.volumes\[guard-policy\] is protected: .*choose another/,
      ],
      "that mounts the guard's keys": [
        { podTemplate: { spec: { containers: [{ name: 'server', volumeMounts: [{ name: 'guard-keys', mountPath: '/k' }] }] } } },
        'ProtectedField',
        /containers\[server\]\.volumeMounts\[guard-keys\]/,
      ],
      'that mounts the shim before it is started': [
        { podTemplate: { spec: { initContainers: [{ name: 'x', volumeMounts: [{ name: 'guard-shim', mountPath: '/k' }] }] } } },
        'ProtectedField',
        /initContainers\[x\]\.volumeMounts\[guard-shim\]/,
      ],
      'that shares its processes with the guard': [
        { podTemplate: { spec: { shareProcessNamespace: true } } },
        'ProtectedField',
        /spec\.shareProcessNamespace is protected: leave it out/,
      ],
      'that opens its port on the node around the guard': [
        { podTemplate: { spec: { hostNetwork: true } } },
        'ProtectedField',
        /spec\.hostNetwork is protected/,
      ],
      'that sees the processes of the node beside the guard': [
        { podTemplate: { spec: { hostPID: true } } },
        'ProtectedField',
        /spec\.hostPID is protected/,
      ],
      'without containers': [
        { podTemplate: { spec: { containers: null } } },
        'ProtectedField',
        /spec\.containers is protected: give a list/,
      ],
      'without init containers': [
        { podTemplate: { spec: { initContainers: null } } },
        'ProtectedField',
        /spec\.initContainers is protected/,
      ],
      'whose volumes are no list': [{ podTemplate: { spec: { volumes: {} } } }, 'ProtectedField', /spec\.volumes is protected/],
      'that mounts where the token goes': [
        { kubernetesAccess: { rules }, mounts: [{ mountPath: '/var/run/secrets/kubernetes.io/serviceaccount/', emptyDir: {} }] },
        'InvalidSpec',
        /choose another path/,
      ],
      'that mounts where its package goes': [
        { package: { npm: { name: 'a', version: '1.0.0' } }, mounts: [{ mountPath: '/opt/mcp-package', emptyDir: {} }] },
        'InvalidSpec',
        /choose another path/,
      ],
      'with another ClusterRole': [
        { kubernetesAccess: { clusterRoles: ['admin'] } },
        'AccessNotGrantable',
        /admin is not among those .* \(view\)/,
      ],
      'with an uncovered rule': [
        { kubernetesAccess: { rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }] } },
        'AccessNotGrantable',
        /"get secrets of the core group" is not covered/,
      ],
      'with rules where nothing may be granted': [
        { kubernetesAccess: { rules } },
        'AccessNotGrantable',
        /does not exist, so nothing/,
        { grantable: undefined },
      ],
      'in a namespace that is not worked in': [
        { kubernetesAccess: { rules, namespaces: ['b'] } },
        'AccessNotGrantable',
        /does not work in namespace b/,
        { namespaces: ['a'] },
      ],
      'whose references are missing, all of which are named': [
        {},
        'ReferenceNotFound',
        /^Not found in namespace agents: ConfigMap a, PersistentVolumeClaim b$/,
        { references: [reference('ConfigMap', 'a'), reference('PersistentVolumeClaim', 'b')], exists: () => false },
      ],
    };
  for (const [name, [spec, reason, message, changes]] of Object.entries(refused)) {
    it(`${name} is refused`, () => {
      const found = violation(spec, changes);
      expect(found?.reason).toBe(reason);
      expect(found?.message).toMatch(message);
    });
  }

  it('hears about its own mistakes before those of others', () => {
    expect(violation({ labels: { 'mcp-fleet.dev/x': 'y' } }, { references: [reference('Secret', 'a')], exists: () => false })?.reason).toBe(
      'ProtectedField',
    );
  });

  it('is stalled by what only its author can mend', () => {
    expect(isStalled({ reason: 'InvalidSpec', message: '' })).toBe(true);
    expect(isStalled({ reason: 'ReferenceNotFound', message: '' })).toBe(false);
  });
});
