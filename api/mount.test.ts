import { expect, test } from 'vitest';
import { isReadOnly, Mount } from './mount.ts';
import { parse } from './schema/plain.ts';

test.each([
  ['a ConfigMap', { configMap: { name: 'a' } }, true],
  ['a claim', { persistentVolumeClaim: { claimName: 'a' } }, true],
  ['a claim to write to', { persistentVolumeClaim: { claimName: 'a' }, readOnly: false }, false],
  ['an emptyDir', { emptyDir: {} }, false],
  ['an emptyDir to read from', { emptyDir: {}, readOnly: true }, true],
])('of %s', (_sentence, source, expected) => {
  expect(isReadOnly(parse(Mount, { mountPath: '/a', ...source }))).toBe(expected);
});
