import { describe, expect, it } from 'vitest';
import { covers, same } from './covers.ts';

describe('covers', () => {
  const live = {
    metadata: {
      ownerReferences: [
        { uid: '2', name: 'other' },
        { uid: '1', name: 'us', controller: true },
      ],
      finalizers: ['x', 'y'],
    },
    spec: {
      replicas: 3,
      args: ['a', 'b'],
      ports: [
        { port: 80, protocol: 'TCP', targetPort: 'http', nodePort: 30_000 },
        { port: 80, protocol: 'UDP', targetPort: 'quic' },
      ],
      template: {
        spec: {
          containers: [
            { name: 'sidecar', image: 's' },
            { name: 'mcp', image: 'a:1', imagePullPolicy: 'Always', ports: [{ containerPort: 1, protocol: 'TCP' }] },
          ],
        },
      },
    },
    rules: [{ verbs: ['get'], resources: ['pods'] }],
  };
  const containers = (...items: object[]) => ({ spec: { template: { spec: { containers: items } } } });
  const ports = (...items: object[]) => ({ spec: { ports: items } });
  const cases: Record<string, [desired: unknown, covered: boolean]> = {
    'fields it does not name': [{ spec: {} }, true],
    'a container by name': [containers({ name: 'mcp', image: 'a:1' }), true],
    'a changed image': [containers({ name: 'mcp', image: 'a:2' }), false],
    'a container that is missing': [containers({ name: 'other' }), false],
    'a container port without its default protocol': [containers({ name: 'mcp', ports: [{ containerPort: 1 }] }), true],
    'a Service port by number and protocol': [ports({ port: 80, protocol: 'UDP', targetPort: 'quic' }), true],
    'a Service port with another target': [ports({ port: 80, protocol: 'TCP', targetPort: 'quic' }), false],
    'an owner reference by uid': [{ metadata: { ownerReferences: [{ uid: '1', name: 'us' }] } }, true],
    'an owner reference that is missing': [{ metadata: { ownerReferences: [{ uid: '3', name: 'us' }] } }, false],
    'a finalizer among others': [{ metadata: { finalizers: ['y'] } }, true],
    'a shorter list': [{ spec: { args: ['a'] } }, false],
    'a list in another order': [{ spec: { args: ['b', 'a'] } }, false],
    'a rule fewer': [{ rules: [] }, false],
    'an empty object where nothing is': [{ metadata: { annotations: {} } }, true],
    'an empty list where nothing is': [{ spec: { env: [] } }, true],
    'an empty string where nothing is': [{ spec: { host: '' } }, true],
    'a list where a number is': [{ spec: { replicas: [] } }, false],
    'an object where a list is': [{ spec: { args: {} } }, false],
    'false where nothing is': [{ spec: { paused: false } }, false],
  };
  for (const [name, [desired, covered]] of Object.entries(cases)) {
    it(`${covered ? 'is' : 'is not'} given with ${name}`, () => {
      expect(covers(live, desired)).toBe(covered);
    });
  }
});

describe('same', () => {
  it('takes what the API server drops for absent', () => {
    expect(same({ a: 1 }, { a: 1, b: [], c: {}, d: undefined })).toBe(true);
    expect(same({ a: 1, b: 2 }, { a: 1 })).toBe(false);
    expect(same(undefined, {})).toBe(true);
  });
});
