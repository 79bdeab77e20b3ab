import { expect, test } from 'vitest';
import { pinnedVersion } from './binaries.ts';
import { goSuffices } from './prerequisites.ts';

test.each([
  { name: 'the version asked for', version: 'go1.26.4', toolchain: 'local', enough: true },
  { name: 'a newer minor version', version: 'go1.27', toolchain: 'local', enough: true },
  { name: 'an older one that fetches newer ones', version: 'go1.22.1', toolchain: 'auto', enough: true },
  { name: 'an older one that must not', version: 'go1.26.3', toolchain: 'local', enough: false },
  { name: 'one from before fetching', version: 'go1.19.8', toolchain: '', enough: false },
  { name: 'none', version: '', toolchain: '', enough: false },
])('$name: $enough', ({ version, toolchain, enough }) => {
  expect(goSuffices(version, toolchain)).toBe(enough);
});

test('versions come from the Go modules', async () => {
  expect(await pinnedVersion('kube-apiserver')).toMatch(/^v1\.\d+\.\d+$/);
  expect(await pinnedVersion('etcd')).toMatch(/^v3\.\d+\.\d+$/);
  expect(await pinnedVersion('coredns')).toMatch(/^v1\.\d+\.\d+$/);
  expect(await pinnedVersion('metrics-server')).toMatch(/^v0\.\d+\.\d+$/);
});
