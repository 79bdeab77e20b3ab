import { describe, expect, it } from 'vitest';
import { covers, project, same } from './covers.ts';

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

describe('project', () => {
  const wish = { spec: { cpu: '1000m', list: [1], containers: [{ name: 'a', cpu: '1000m' }] } };
  const live = { spec: { cpu: '1', list: [1], replicas: 1, containers: [{ name: 'b' }, { name: 'a', cpu: '1', image: 'x' }] }, status: {} };
  const seen = JSON.stringify(project(live, wish));
  const differs = (change: (copy: typeof live) => void): boolean => {
    const copy = structuredClone(live);
    change(copy);
    return JSON.stringify(project(copy, wish)) !== seen;
  };
  const cases: Record<string, [change: (copy: typeof live) => void, differs: boolean]> = {
    'a field that nobody asked for': [({ spec }) => (spec.replicas = 5), false],
    'a container of others': [({ spec }) => (spec.containers[0] = { name: 'c' }), false],
    'a field of a container that nobody asked for': [({ spec }) => (spec.containers[1] = { name: 'a', cpu: '1', image: 'y' }), false],
    'a field that was asked for': [({ spec }) => (spec.cpu = '2'), true],
    'a field of a container that was asked for': [({ spec }) => (spec.containers[1] = { name: 'a', cpu: '2', image: 'x' }), true],
    'a container that went': [({ spec }) => spec.containers.pop(), true],
    'a list that grew': [({ spec }) => spec.list.push(2), true],
  };
  for (const [name, [change, expected]] of Object.entries(cases)) {
    it(`${expected ? 'shows' : 'does not show'} ${name}`, () => {
      expect(differs(change)).toBe(expected);
    });
  }
});
