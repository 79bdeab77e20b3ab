import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergePodTemplate } from './podtemplate.ts';

const ours = {
  metadata: { labels: { 'mcp-fleet.dev/server': 'github' } },
  spec: {
    enableServiceLinks: false,
    tolerations: [{ key: 'a', operator: 'Exists' }],
    containers: [
      {
        name: 'server',
        image: 'a:1',
        args: ['--one', '--two'],
        env: [
          { name: 'HOME', value: '/tmp' },
          { name: 'A', value: '1' },
        ],
        volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
        securityContext: { capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true },
      },
    ],
    volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '64Mi' } }],
  },
};

describe('mergePodTemplate', () => {
  const server = (patch: object) => ({ spec: { containers: [{ name: 'server', ...patch }] } });
  const cases: Record<string, [patch: object, path: (merged: typeof ours) => unknown, expected: unknown]> = {
    'keeps what the patch does not name': [{ spec: { priority: 1 } }, (t) => t.spec.containers, ours.spec.containers],
    'adds a label': [{ metadata: { labels: { team: 'x' } } }, (t) => t.metadata.labels, { 'mcp-fleet.dev/server': 'github', team: 'x' }],
    'merges a container by name': [server({ image: 'a:2' }), (t) => t.spec.containers[0]?.image, 'a:2'],
    'adds a container of another name': [
      { spec: { containers: [{ name: 'logs', image: 'b' }] } },
      (t) => t.spec.containers.map(({ name }) => name),
      ['server', 'logs'],
    ],
    'merges env by name and appends the rest': [
      server({
        env: [
          { name: 'A', value: '2' },
          { name: 'B', value: '3' },
        ],
      }),
      (t) => t.spec.containers[0]?.env,
      [
        { name: 'HOME', value: '/tmp' },
        { name: 'A', value: '2' },
        { name: 'B', value: '3' },
      ],
    ],
    'merges mounts by mountPath': [
      server({ volumeMounts: [{ mountPath: '/tmp', name: 'scratch' }] }),
      (t) => t.spec.containers[0]?.volumeMounts,
      [{ mountPath: '/tmp', name: 'scratch' }],
    ],
    'replaces a list without a key': [server({ args: ['--three'] }), (t) => t.spec.containers[0]?.args, ['--three']],
    'replaces tolerations, which have none': [{ spec: { tolerations: [{ key: 'b' }] } }, (t) => t.spec.tolerations, [{ key: 'b' }]],
    'merges a security context per field': [
      server({ securityContext: { readOnlyRootFilesystem: false } }),
      (t) => t.spec.containers[0]?.securityContext,
      { capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: false },
    ],
    'exchanges the source of a volume': [
      { spec: { volumes: [{ name: 'tmp', persistentVolumeClaim: { claimName: 'x' } }] } },
      (t) => t.spec.volumes,
      [{ name: 'tmp', persistentVolumeClaim: { claimName: 'x' } }],
    ],
    'merges the same source of a volume': [
      { spec: { volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '1Gi' } }] } },
      (t) => t.spec.volumes,
      [{ name: 'tmp', emptyDir: { sizeLimit: '1Gi' } }],
    ],
    'removes a member by null': [{ spec: { enableServiceLinks: null } }, (t) => t.spec.enableServiceLinks, undefined],
    'removes an item by $patch': [{ spec: { volumes: [{ name: 'tmp', $patch: 'delete' }] } }, (t) => t.spec.volumes, []],
  };
  for (const [name, [patch, path, expected]] of Object.entries(cases)) {
    it(name, () => expect(path(mergePodTemplate(ours, patch))).toEqual(expected));
  }

  it('changes neither argument and is idempotent', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: fc.constantFrom('server', 'logs', 'x'), image: fc.string() }), { maxLength: 4 }),
        (containers) => {
          const patch = { spec: { containers } };
          const before = JSON.stringify([ours, patch]);
          const once = mergePodTemplate(ours, patch);
          expect(mergePodTemplate(once, patch)).toEqual(once);
          expect(JSON.stringify([ours, patch])).toBe(before);
        },
      ),
    );
  });
});
