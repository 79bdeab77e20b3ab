import { beforeEach, describe, expect, it } from 'vitest';
import { toolInventory } from '../../../mcp/inventory.ts';
import type { ProbeResult, Verified } from '../../../mcp/probe.ts';
import { FakeClock } from './fakeclock.ts';
import { Verifier, type VerifierTarget } from './verifier.ts';

const ok: Verified = {
  outcome: 'Verified',
  message: 'fine',
  server: { name: 'x', version: '1', protocolVersions: [], era: 'Legacy', capabilities: [] },
  inventory: { tools: [], digest: 'd', duplicates: [], warnings: [] },
};
const refused: ProbeResult = { outcome: 'ConnectionRefused', message: 'refused', server: undefined };
const timeout: ProbeResult = { outcome: 'Timeout', message: 'too slow', server: undefined };

describe('Verifier', () => {
  let clock: FakeClock;
  let results: string[];
  let verifier: Verifier;
  let answers: Record<string, ProbeResult | 'never'>;
  let asked: string[];

  const make = (concurrency?: number) =>
    new Verifier({
      clock,
      random: () => 0.5,
      ...(concurrency !== undefined && { concurrency }),
      onResult: (key) => results.push(key),
      onError: (key, error) => results.push(`${key}: ${String(error)}`),
    });

  const target = (key: string, changes: Partial<VerifierTarget> = {}): VerifierTarget => ({
    fingerprint: '1',
    interval: 300_000,
    verifiedAt: undefined,
    probe: ({ signal }) => {
      asked.push(key);
      const answer = answers[key] ?? ok;
      if (answer !== 'never') return Promise.resolve(answer);
      const { promise, reject } = Promise.withResolvers<ProbeResult>();
      signal.addEventListener('abort', () => reject(signal.reason));
      return promise;
    },
    ...changes,
  });

  beforeEach(() => {
    clock = new FakeClock();
    results = [];
    answers = {};
    asked = [];
    verifier = make();
  });

  it('verifies a new server at once and again after its interval', async () => {
    verifier.track('a', target('a'));
    await clock.advance(0);
    expect(results).toEqual(['a']);
    expect(verifier.result('a')?.outcome).toBe('Verified');
    await clock.advance(300_000);
    expect(asked).toEqual(['a', 'a']);
  });

  it('keeps nothing whose size the server decides', async () => {
    const description = 'x'.repeat(100_000);
    const inventory = toolInventory([{ name: 'a', title: description, description, inputSchema: { description } }]);
    answers['a'] = { ...ok, server: { ...ok.server, name: description, capabilities: [description] }, inventory };
    verifier.track('a', target('a'));
    await clock.advance(0);
    const result = verifier.result('a');
    expect(result?.inventory?.tools[0]).toMatchObject({ name: 'a', digest: inventory.tools[0]?.digest });
    expect(result?.inventory?.digest).toBe(inventory.digest);
    expect(JSON.stringify(result).length).toBeLessThan(2_000);
  });

  it('does nothing for the same fingerprint', async () => {
    verifier.track('a', target('a'));
    await clock.advance(0);
    verifier.track('a', target('a'));
    await clock.advance(1000);
    expect(asked).toEqual(['a']);
  });

  it('verifies again at once when the fingerprint changes', async () => {
    verifier.track('a', target('a'));
    await clock.advance(1000);
    verifier.track('a', target('a', { fingerprint: '2' }));
    await clock.advance(0);
    expect(asked).toEqual(['a', 'a']);
  });

  it('aborts what it was doing when the fingerprint changes', async () => {
    answers['a'] = 'never';
    verifier.track('a', target('a'));
    await clock.advance(0);
    answers['a'] = ok;
    verifier.track('a', target('a', { fingerprint: '2' }));
    await clock.advance(0);
    expect(verifier.result('a')?.outcome).toBe('Verified');
    expect(results).toEqual(['a']);
  });

  it('backs off up to five minutes and never gives up', async () => {
    answers['a'] = timeout;
    verifier.track('a', target('a'));
    const delays: (number | undefined)[] = [];
    for (let attempt = 0; attempt < 11; attempt++) {
      await clock.advance(0);
      delays.push(clock.next);
      await clock.advance(clock.next ?? 0);
    }
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 150_000, 150_000, 150_000]);
  });

  it('asks a broken server no less often than its interval says', async () => {
    answers['a'] = timeout;
    verifier.track('a', target('a', { interval: 10_000 }));
    const delays: (number | undefined)[] = [];
    for (let attempt = 0; attempt < 6; attempt++) {
      await clock.advance(0);
      delays.push(clock.next);
      await clock.advance(clock.next ?? 0);
    }
    expect(delays).toEqual([1000, 2000, 4000, 5000, 5000, 5000]);
  });

  it('tells of another way to fail when it is seen twice in a row', async () => {
    answers['a'] = timeout;
    verifier.track('a', target('a'));
    await clock.advance(10_000);
    const garbage: ProbeResult = { outcome: 'ProtocolError', message: 'garbage', server: undefined };
    for (const [answer, expected] of [
      [garbage, 'Timeout'],
      [timeout, 'Timeout'],
      [garbage, 'Timeout'],
      [garbage, 'ProtocolError'],
    ] as const) {
      answers['a'] = answer;
      await clock.advance(clock.next ?? 0);
      expect(verifier.result('a')?.outcome).toBe(expected);
    }
  });

  it('believes a failure of what worked only when it is seen again', async () => {
    verifier.track('a', target('a'));
    await clock.advance(0);
    answers['a'] = timeout;
    await clock.advance(300_000);
    expect(verifier.result('a')?.outcome).toBe('Verified');
    answers['a'] = ok;
    await clock.advance(2_000);
    expect(asked.length).toBe(3);
    answers['a'] = timeout;
    await clock.advance(301_000);
    expect(verifier.result('a')?.outcome).toBe('Timeout');
    expect(results).toEqual(['a', 'a', 'a']);
  });

  it('recovers and starts its backoff anew', async () => {
    answers['a'] = timeout;
    verifier.track('a', target('a'));
    await clock.advance(10_000);
    answers['a'] = ok;
    await clock.advance(10_000);
    expect(verifier.result('a')?.outcome).toBe('Verified');
    answers['a'] = timeout;
    await clock.advance(300_000);
    expect(verifier.result('a')?.outcome).toBe('Timeout');
  });

  it('says nothing of a refused connection right after the pods changed', async () => {
    answers['a'] = refused;
    verifier.track('a', target('a'));
    await clock.advance(1000);
    expect(results).toEqual([]);
    answers['a'] = ok;
    await clock.advance(300);
    expect(results).toEqual(['a']);
  });

  it('says so when the connection is still refused after a while', async () => {
    answers['a'] = refused;
    verifier.track('a', target('a'));
    await clock.advance(6000);
    expect(verifier.result('a')?.outcome).toBe('ConnectionRefused');
  });

  it('waits for its turn after a restart when the last success is recent', async () => {
    verifier.track('a', target('a', { verifiedAt: new Date(clock.time - 100_000) }));
    await clock.advance(199_000);
    expect(asked).toEqual([]);
    await clock.advance(2000);
    expect(asked).toEqual(['a']);
  });

  it('spreads what is overdue after a restart', async () => {
    verifier.track('a', target('a', { verifiedAt: new Date(clock.time - 900_000) }));
    await clock.advance(0);
    expect(asked).toEqual([]);
    await clock.advance(60_000);
    expect(asked).toEqual(['a']);
  });

  it('lets a new server pass those that failed', async () => {
    verifier = make(1);
    answers = { a: timeout, b: timeout };
    verifier.track('a', target('a'));
    verifier.track('b', target('b'));
    await clock.advance(0);
    asked.length = 0;
    answers['c'] = 'never';
    verifier.track('c', target('c'));
    await clock.advance(2000);
    expect(asked).toEqual(['c']);
    verifier.track('d', target('d'));
    verifier.forget('c');
    await clock.advance(0);
    expect(asked[1]).toBe('d');
  });

  it('is not delayed by 200 servers that never answer', async () => {
    for (let index = 0; index < 200; index++) {
      answers[`dead-${index}`] = 'never';
      verifier.track(`dead-${index}`, target(`dead-${index}`));
    }
    verifier.track('a', target('a'));
    await clock.advance(0);
    expect(verifier.result('a')?.outcome).toBe('Verified');
  });

  it('keeps what it knows while nothing can answer, and verifies at once afterwards', async () => {
    verifier.track('a', target('a'));
    await clock.advance(0);
    verifier.pause('a');
    await clock.advance(900_000);
    expect(asked).toEqual(['a']);
    expect(verifier.result('a')?.outcome).toBe('Verified');
    verifier.track('a', target('a'));
    await clock.advance(0);
    expect(asked).toEqual(['a', 'a']);
  });

  it('forgets', async () => {
    verifier.track('a', target('a'));
    await clock.advance(0);
    verifier.forget('a');
    await clock.advance(600_000);
    expect(verifier.result('a')).toBeUndefined();
    expect(asked).toEqual(['a']);
  });
});
