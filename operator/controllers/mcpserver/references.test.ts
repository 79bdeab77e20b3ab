import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import { input } from './builders.ts';
import { podTemplate } from './podspec.ts';
import { references } from './references.ts';

const found = (spec: Partial<MCPServerSpecInput>) =>
  references(podTemplate(input(spec)).spec ?? { containers: [] }, 'github').map(
    ({ kind, name, optional, writable }) => `${kind} ${name}${optional ? ' optional' : ''}${writable ? ' writable' : ''}`,
  );

describe('references', () => {
  const cases: Record<string, [spec: Partial<MCPServerSpecInput>, expected: readonly string[]]> = {
    'of a plain server are none': [{}, []],
    'do not count what Kubernetes itself publishes': [{ kubernetesAccess: { clusterRoles: ['view'] } }, []],
    'come from variables': [
      {
        env: [
          { name: 'A', valueFrom: { configMapKeyRef: { name: 'a', key: 'k' } } },
          { name: 'B', valueFrom: { secretKeyRef: { name: 'b', key: 'k', optional: true } } },
        ],
        envFrom: [{ configMapRef: { name: 'c' } }, { secretRef: { name: 'd' } }],
      },
      ['ConfigMap a', 'ConfigMap c', 'Secret b optional', 'Secret d'],
    ],
    'come from mounts': [
      {
        mounts: [
          { mountPath: '/a', configMap: { name: 'a' } },
          { mountPath: '/b', secret: { secretName: 'b', optional: true } },
          { mountPath: '/c', persistentVolumeClaim: { claimName: 'c' } },
          { mountPath: '/d', persistentVolumeClaim: { claimName: 'd' }, readOnly: false },
          { mountPath: '/e', projected: { sources: [{ configMap: { name: 'e' } }, { secret: { name: 'f' } }] } },
        ],
      },
      ['ConfigMap a', 'ConfigMap e', 'PersistentVolumeClaim c', 'PersistentVolumeClaim d writable', 'Secret b optional', 'Secret f'],
    ],
    'come from the podTemplate, too': [
      {
        podTemplate: {
          spec: {
            volumes: [{ name: 'x', configMap: { name: 'x' } }],
            initContainers: [{ name: 'init', image: 'i', envFrom: [{ secretRef: { name: 'y' } }] }],
          },
        },
      },
      ['ConfigMap x', 'Secret y'],
    ],
    'are needed where one use needs them': [
      {
        env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'a', key: 'k', optional: true } } }],
        envFrom: [{ configMapRef: { name: 'a' } }],
      },
      ['ConfigMap a'],
    ],
    'have the ServiceAccount that is named': [{ serviceAccount: { name: 'mine' } }, ['ServiceAccount mine']],
  };
  for (const [name, [spec, expected]] of Object.entries(cases)) it(name, () => expect(found(spec)).toEqual(expected));
});
