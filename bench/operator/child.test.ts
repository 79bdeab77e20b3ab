import { expect, it } from 'vitest';
import { owned } from './child.ts';

it('keeps only what the manager asked for', () => {
  const live = {
    metadata: { uid: 'u', labels: { a: '1', b: '2' }, finalizers: ['x', 'y'] },
    spec: {
      replicas: 1,
      args: ['a', 'b'],
      ports: [
        { port: 80, protocol: 'TCP', nodePort: 1 },
        { port: 81, protocol: 'TCP' },
      ],
    },
  };
  const fields = {
    'f:metadata': { 'f:labels': { 'f:a': {} }, 'f:finalizers': { 'v:"y"': {} } },
    'f:spec': { 'f:args': {}, 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:port': {}, 'f:protocol': {} } } },
  };
  expect(owned(live, fields)).toEqual({
    metadata: { labels: { a: '1' }, finalizers: ['y'] },
    spec: { args: ['a', 'b'], ports: [{ port: 80, protocol: 'TCP' }] },
  });
});
