import { describe, expect, it } from 'vitest';
import type { KeySource } from './source.ts';
import { issuerWorld } from './testing/world.ts';

const at = (issuer: string): KeySource => ({ type: 'Discovery', issuer });
const found = (issuer: string, kid = 'k1') => ({ issuer, keys: [{ kty: 'EC', kid }] });

describe('issuers', () => {
  it('are fetched once for all servers that use them, each of which is told', async () => {
    const { issuers, asked, changed, pass } = issuerWorld({ a: found('a') });
    expect(issuers.use('n/1', [at('a')])).toEqual([{ found: undefined, problem: undefined }]);
    issuers.use('n/2', [at('a')]);
    await pass(0);
    expect(asked).toEqual(['a']);
    expect(changed).toEqual(['n/1', 'n/2']);
    expect(issuers.use('n/1', [at('a')])).toEqual([{ found: found('a'), problem: undefined }]);
  });

  it('are fetched again every ten minutes, and tell nobody when nothing is new', async () => {
    const { issuers, asked, changed, answers, pass } = issuerWorld({ a: found('a') });
    issuers.use('n/1', [at('a')]);
    await pass(10 * 60_000);
    expect(asked).toEqual(['a', 'a']);
    expect(changed).toEqual(['n/1']);
    answers['a'] = found('a', 'k2');
    await pass(10 * 60_000);
    expect(changed).toEqual(['n/1', 'n/1']);
  });

  it('are fetched again when somebody meets an unknown key, but not within 15 seconds', async () => {
    const { issuers, asked, pass } = issuerWorld({ a: found('a'), b: found('b'), cluster: found('c') });
    issuers.use('n/1', [at('a'), at('b'), { type: 'Cluster' }]);
    await pass(1_000);
    for (let time = 0; time < 10; time++) issuers.refresh('n/1', 'a');
    await pass(13_000);
    expect(asked).toEqual(['a', 'b', 'cluster']);
    await pass(1_000);
    expect(asked).toEqual(['a', 'b', 'cluster', 'a']);
    await pass(60_000);
    issuers.refresh('n/1', 'c');
    issuers.refresh('n/1', 'of nobody');
    issuers.refresh('n/of nobody', 'a');
    await pass(0);
    expect(asked).toEqual(['a', 'b', 'cluster', 'a', 'cluster']);
  });

  it('are fetched again for the servers that use them alone', async () => {
    const { issuers, asked, pass } = issuerWorld({ a: found('a'), b: found('b'), cluster: found('c') });
    issuers.use('mine/1', [at('a'), { type: 'Cluster' }]);
    issuers.use('theirs/1', [at('b')]);
    expect(issuers.of('mine/1')).toEqual(['a']);
    await pass(60_000);
    expect(issuers.of('mine/1')).toEqual(['a', 'c']);
    expect(issuers.of('of/nobody')).toEqual([]);
    issuers.refresh('mine/1', 'b');
    await pass(60_000);
    expect(asked).toEqual(['a', 'cluster', 'b']);
  });

  it('that fail are tried again, ever later, and what they gave before stays', async () => {
    const { issuers, asked, answers, changed, pass } = issuerWorld({ a: found('a') });
    issuers.use('n/1', [at('a')]);
    await pass(0);
    answers['a'] = 'it is down';
    await pass(11 * 60_000);
    const state = () => issuers.use('n/1', [at('a')])[0];
    expect(state()).toEqual({ found: found('a'), problem: 'it is down' });
    // 1, 2, 4, … seconds: half of 2, 4, 8 with this randomness, and then each 150.
    const tries = asked.length;
    issuers.refresh('n/1', 'a');
    await pass(0);
    expect(asked).toHaveLength(tries);
    expect(tries).toBeLessThan(10);
    expect(issuers.counts()).toEqual({ current: 0, stale: 1, missing: 0 });
    answers['a'] = found('a', 'k2');
    await pass(150_000);
    expect(state()).toEqual({ found: found('a', 'k2'), problem: undefined });
    expect(changed).toHaveLength(3);
  });

  it('that fail once where there are keys to go on with are not worth a word, and at first they are', async () => {
    const { issuers, answers, pass } = issuerWorld({ a: found('a'), b: 'it is not there' });
    issuers.use('n/1', [at('a'), at('b')]);
    await pass(0);
    expect(issuers.use('n/1', [at('a'), at('b')])).toEqual([
      { found: found('a'), problem: undefined },
      { found: undefined, problem: 'it is not there' },
    ]);
    answers['a'] = 'a moment';
    await pass(10 * 60_000);
    expect(issuers.use('n/1', [at('a')])).toEqual([{ found: found('a'), problem: undefined }]);
  });

  it('that never answer hold up no other', async () => {
    const { issuers, asked, pass } = issuerWorld({ a: 'never', b: found('b'), c: found('c') }, 2);
    issuers.use('n/1', [at('a'), at('b'), at('c')]);
    await pass(0);
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  it('that have failed wait for those that have not', async () => {
    const held = Promise.withResolvers<ReturnType<typeof found>>();
    const { issuers, asked, pass } = issuerWorld({ down: 'it is down', held: held.promise, b: found('b') }, 1);
    issuers.use('n/1', [at('down')]);
    await pass(500);
    issuers.use('n/2', [at('held')]);
    await pass(10_000);
    issuers.use('n/3', [at('b')]);
    await pass(0);
    held.resolve(found('held'));
    await pass(0);
    expect(asked).toEqual(['down', 'held', 'b', 'down']);
  });

  it('that no server uses any more are forgotten', async () => {
    const { issuers, asked, pass } = issuerWorld({ a: found('a'), b: found('b') });
    issuers.use('n/1', [at('a')]);
    issuers.use('n/2', [at('a')]);
    await pass(0);
    issuers.forget('n/1');
    expect(issuers.use('n/2', [at('a')])[0]?.found).toBeDefined();
    issuers.use('n/2', [at('b')]);
    await pass(60 * 60_000);
    expect(asked.filter((issuer) => issuer === 'a')).toHaveLength(1);
    issuers.stop();
    expect([...issuers.servers]).toEqual([]);
    const tries = asked.length;
    await pass(60 * 60_000);
    expect(asked).toHaveLength(tries);
  });
});
