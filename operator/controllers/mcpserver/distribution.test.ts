import { describe, expect, it } from 'vitest';
import type { Client } from '../../kube/client.ts';
import { Distribution, LATE_MS } from './distribution.ts';
import type { GuardPod } from './guardreports.ts';

const pod = (name: string): GuardPod => ({
  namespace: 'a',
  name,
  uid: `uid-${name}`,
  address: `10.0.0.${name}`,
  ready: true,
  createdAt: '',
});

/** Guards by name and the digest that each reports, a clock that only the test moves, and what was patched. */
function world(reports: Record<string, string | Error>) {
  let now = 0;
  const timers: { at: number; callback: () => void }[] = [];
  const patched: string[] = [];
  const changes: string[] = [];
  const reads: string[] = [];
  const keys = { held: 'keys' };
  const client = {
    mergePatch: (_: unknown, { name }: { name: string }, patch: { metadata: { uid: string; annotations: Record<string, string> } }) => {
      patched.push(`${name} ${patch.metadata.uid} ${Object.values(patch.metadata.annotations).join()}`);
      return Promise.resolve({});
    },
  } as unknown as Client;
  const distribution = new Distribution({
    client,
    read: ({ name }) => {
      reads.push(name);
      const report = reports[name] ?? '';
      return report instanceof Error
        ? Promise.reject(report)
        : Promise.resolve({ policyDigest: report, keysDigest: keys.held, rejections: [] });
    },
    clock: {
      now: () => new Date(now),
      after: (milliseconds, callback) => {
        const timer = { at: now + milliseconds, callback };
        timers.push(timer);
        return () => void timers.splice(timers.indexOf(timer), 1);
      },
    },
    onChange: (key) => changes.push(key),
    onError: (_, error) => {
      throw error;
    },
  });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  const pass = async (milliseconds: number): Promise<void> => {
    const end = now + milliseconds;
    for (;;) {
      await settle();
      const [next] = timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      now = Math.max(now, next.at);
      timers.splice(timers.indexOf(next), 1);
      next.callback();
    }
    now = end;
    await settle();
  };
  return { distribution, reports, keys, patched, changes, reads, pass };
}

describe('distribution of a bundle', () => {
  it('tells the kubelets of guards that report another digest, and of no others', async () => {
    const { distribution, patched, pass } = world({ 1: 'old', 2: 'new' });
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1'), pod('2')] });
    await pass(0);
    expect(patched).toEqual(['1 uid-1 new keys']);
    expect(distribution.state('a/s')).toMatchObject({ total: 2, current: 1, behind: ['1'], late: false });
  });

  it('tells them again after 2 and 10 seconds, with another value each time, and then no more', async () => {
    const { distribution, patched, pass } = world({ 1: 'old' });
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1')] });
    await pass(1_900);
    expect(patched).toHaveLength(1);
    await pass(300);
    expect(patched).toHaveLength(2);
    await pass(60_000);
    expect(patched).toEqual(['1 uid-1 new keys', '1 uid-1 new keys (2)', '1 uid-1 new keys (3)']);
  });

  it('tells them nothing before the ConfigMap has it, but says that they are behind', async () => {
    const { distribution, patched, pass } = world({ 1: 'old' });
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: false, pods: [pod('1')] });
    await pass(LATE_MS + 15_000);
    expect(patched).toEqual([]);
    expect(distribution.state('a/s')).toMatchObject({ current: 0, late: true });
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1')] });
    await pass(60_000);
    expect(patched).toEqual(['1 uid-1 new keys', '1 uid-1 new keys (2)', '1 uid-1 new keys (3)']);
  });

  it('writes to no pod whose guard cannot be asked', async () => {
    const { distribution, patched, pass } = world({ 1: new Error('connection refused') });
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1')] });
    await pass(20_000);
    expect(patched).toEqual([]);
    expect(distribution.state('a/s')).toMatchObject({ total: 1, current: 0 });
  });

  it('tells them of new keys, too, with another value although the policies are the same', async () => {
    const { distribution, keys, patched, pass } = world({ 1: 'new' });
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1')] });
    await pass(0);
    distribution.track('a/s', { digest: 'new', keysDigest: 'rotated', written: true, pods: [pod('1')] });
    await pass(0);
    expect(patched).toEqual(['1 uid-1 new rotated']);
    expect(distribution.state('a/s')).toMatchObject({ current: 0, behind: ['1'] });
    keys.held = 'rotated';
    await pass(1_000);
    expect(distribution.state('a/s')).toMatchObject({ current: 1 });
  });

  it('leaves a server alone whose guards are current', async () => {
    const { distribution, reads, changes, pass } = world({ 1: 'new' });
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1')] });
    await pass(600_000);
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1')] });
    await pass(600_000);
    expect(reads).toEqual(['1']);
    expect(changes).toEqual(['a/s']);
  });

  it('asks only the pods that are new', async () => {
    const { distribution, reads, pass } = world({ 1: 'new', 2: 'new' });
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1')] });
    await pass(0);
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1'), pod('2')] });
    await pass(0);
    expect(reads).toEqual(['1', '2']);
    expect(distribution.state('a/s')).toMatchObject({ total: 2, current: 2 });
  });

  it('says so when a guard has been behind for half a minute', async () => {
    const { distribution, reports, changes, pass } = world({ 1: 'old' });
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1')] });
    await pass(LATE_MS - 1_500);
    expect(distribution.state('a/s')?.late).toBe(false);
    await pass(3_000);
    expect(distribution.state('a/s')?.late).toBe(true);
    reports['1'] = 'new';
    await pass(16_000);
    expect(distribution.state('a/s')).toMatchObject({ current: 1, late: false });
    expect(changes).toHaveLength(3);
  });

  it('knows nothing of guards that it has not asked about the newest bundle', async () => {
    const { distribution, pass } = world({ 1: 'old' });
    distribution.track('a/s', { digest: 'old', keysDigest: 'keys', written: true, pods: [pod('1')] });
    await pass(0);
    distribution.track('a/s', { digest: 'new', keysDigest: 'keys', written: true, pods: [pod('1')] });
    expect(distribution.state('a/s')).toBeUndefined();
  });
});
