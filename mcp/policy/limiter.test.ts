import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import type { Caller } from './caller.ts';
import type { EngineLimits } from './engine.ts';
import { Limiter } from './limiter.ts';
import type { OwnedRate } from './merge.ts';
import { anonymous, ciBot, human, triage } from './testing/builders.ts';

const rate = (part: Partial<OwnedRate> = {}): OwnedRate => ({
  policy: 'agents/p',
  generation: 3,
  name: 'limit',
  per: 'Caller',
  requests: 60,
  windowMs: 60_000,
  burst: 2,
  ...part,
});
const limits = (part: Partial<EngineLimits> = {}): EngineLimits => ({
  rates: [],
  concurrency: {},
  shadow: { rates: [], concurrency: {} },
  ...part,
});

class Clock {
  at = 0;
  readonly now = (): number => this.at;
}
const limiterOf = (its: Partial<EngineLimits>, clock = new Clock(), options: { replicas?: number; maxBuckets?: number } = {}) =>
  new Limiter(limits(its), { now: clock.now, replicas: 1, ...options });

describe('a rate limit', () => {
  it('lets the burst pass, then one per interval, and says when to come again', () => {
    const clock = new Clock();
    const limiter = limiterOf({ rates: [rate()] }, clock);
    expect([limiter.admit(ciBot), limiter.admit(ciBot)]).toEqual([{}, {}]);
    expect(limiter.admit(ciBot)).toEqual({
      refusal: {
        effect: 'deny',
        code: 'RATE_LIMITED',
        answer: 'Refused',
        visible: true,
        policy: 'agents/p',
        generation: 3,
        rule: 'limit',
        message: 'Refused by policy: the rate limit limit is used up. Retry later.',
        retryAfterMs: 1000,
      },
    });
    clock.at = 999;
    expect(limiter.admit(ciBot).refusal?.retryAfterMs).toBe(1);
    clock.at = 1000;
    expect(limiter.admit(ciBot)).toEqual({});
    expect(limiter.admit(ciBot).refusal).toBeDefined();
  });

  it('is each caller’s own', () => {
    const limiter = limiterOf({ rates: [rate({ burst: 1 })] });
    const callers: readonly Caller[] = [
      ciBot,
      triage,
      human(['a']),
      { ...human([]), subject: 'u2' } as Caller,
      anonymous,
      { ...anonymous, source: '10.0.0.1' },
      { ...ciBot, tunnel: 'edge' },
    ];
    expect(callers.map((caller) => limiter.admit(caller).refusal)).toEqual(callers.map(() => undefined));
    expect(callers.map((caller) => limiter.admit(caller).refusal?.code)).toEqual(callers.map(() => 'RATE_LIMITED'));
  });

  it('does not grow with a token: other groups and scopes are the same caller', () => {
    const limiter = limiterOf({ rates: [rate({ burst: 1 })] });
    limiter.admit(human(['a'], ['x']));
    expect(limiter.admit(human(['b'])).refusal).toBeDefined();
  });

  it('per Server is shared by all', () => {
    const limiter = limiterOf({ rates: [rate({ per: 'Server', burst: 1 })] });
    limiter.admit(ciBot);
    expect(limiter.admit(triage).refusal).toBeDefined();
  });

  it('with tools counts calls of those alone', () => {
    const limiter = limiterOf({ rates: [rate({ tools: ['search_*'], burst: 1 })] });
    expect(limiter.admit(ciBot)).toEqual({});
    expect(limiter.admitTool(ciBot, 'get')).toEqual({});
    expect(limiter.admitTool(ciBot, 'search_code')).toEqual({});
    expect(limiter.admitTool(ciBot, 'search_issues').refusal).toBeDefined();
  });

  it('per CallerAndTool counts each tool apart', () => {
    const limiter = limiterOf({ rates: [rate({ per: 'CallerAndTool', tools: ['*'], burst: 1 })] });
    limiter.admitTool(ciBot, 'a');
    expect(limiter.admitTool(ciBot, 'b')).toEqual({});
    expect(limiter.admitTool(ciBot, 'a').refusal).toBeDefined();
  });

  it('that refuses uses up nothing of the others', () => {
    const clock = new Clock();
    const limiter = limiterOf({ rates: [rate({ name: 'a', burst: 2 }), rate({ name: 'b', burst: 1, requests: 1 })] }, clock);
    expect(limiter.admit(ciBot)).toEqual({});
    expect(limiter.admit(ciBot).refusal?.rule).toBe('b');
    limiter.reconfigure(limits({ rates: [rate({ name: 'a', burst: 2 })] }), 1);
    expect(limiter.admit(ciBot)).toEqual({});
  });

  it('is divided by the replicas, and at least one may always come', () => {
    const clock = new Clock();
    const limiter = limiterOf({ rates: [rate({ burst: 2 })] }, clock, { replicas: 4 });
    expect(limiter.admit(ciBot)).toEqual({});
    expect(limiter.admit(ciBot).refusal?.retryAfterMs).toBe(4000);
  });

  it('that stays keeps its count when others change', () => {
    const limiter = limiterOf({ rates: [rate({ burst: 1 })] });
    limiter.admit(ciBot);
    limiter.reconfigure(limits({ rates: [rate({ burst: 1 }), rate({ name: 'new' })] }), 1);
    expect(limiter.admit(ciBot).refusal?.rule).toBe('limit');
  });

  it('of a policy in mode: Audit refuses nothing and says what it would have refused', () => {
    const limiter = limiterOf({ shadow: { rates: [rate({ burst: 1 })], concurrency: {} } });
    expect(limiter.admit(ciBot)).toEqual({});
    expect(limiter.admit(ciBot)).toMatchObject({ wouldDeny: { code: 'RATE_LIMITED', rule: 'limit' } });
    expect(limiter.admit(ciBot).refusal).toBeUndefined();
  });

  it('never lets more pass than its burst and its rate', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 200 }),
        (requests, burst, replicas, gaps) => {
          const clock = new Clock();
          const limiter = limiterOf({ rates: [rate({ requests, windowMs: 10_000, burst })] }, clock, { replicas });
          const passed: number[] = [];
          for (const gap of gaps) {
            clock.at += gap;
            if (limiter.admit(ciBot).refusal === undefined) passed.push(clock.at);
          }
          const part = Math.max(1, Math.floor(burst / replicas));
          // In every window that begins with a request that passed.
          for (const [at, begin] of passed.entries()) {
            for (const [until, end] of passed.entries()) {
              if (until < at) continue;
              const allowed = part + ((end - begin) * requests) / (10_000 * replicas);
              expect(until - at + 1).toBeLessThanOrEqual(allowed + 1e-6);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('refuses when the clock tells no time', () => {
    expect(new Limiter(limits({ rates: [rate()] }), { now: () => Number.NaN, replicas: 1 }).admit(ciBot).refusal).toBeDefined();
  });

  it('keeps a bounded number of buckets, and strangers beyond it share one', () => {
    const clock = new Clock();
    const limiter = limiterOf({ rates: [rate({ burst: 1 })] }, clock, { maxBuckets: 100 });
    const stranger = (number: number): Caller => ({ type: 'apiKey', user: `u${number}` });
    for (let number = 0; number < 1000; number += 1) limiter.admit(stranger(number));
    expect(limiter.size).toBeLessThanOrEqual(101);
    expect(limiter.admit(stranger(0)).refusal, 'a throttled one is not forgotten').toBeDefined();
    expect(limiter.admit(stranger(2000)).refusal, 'the shared one is used up').toBeDefined();
    clock.at = 60_000;
    for (let number = 0; number < 50; number += 1) limiter.admit(stranger(3000 + number));
    expect(limiter.size, 'full ones are forgotten').toBeLessThanOrEqual(60);
  });
});

describe('concurrency', () => {
  it('is limited per caller, and a place counts once however often it is released', () => {
    const limiter = limiterOf({ concurrency: { perCaller: 1 } });
    const slot = limiter.acquire(ciBot);
    expect(limiter.acquire(ciBot)).toMatchObject({ refusal: { code: 'CONCURRENCY' } });
    expect(limiter.acquire(triage).refusal).toBeUndefined();
    if (slot.refusal !== undefined) throw new Error('refused');
    slot.release();
    slot.release();
    expect(limiter.acquire(ciBot).refusal).toBeUndefined();
    expect(limiter.acquire(ciBot).refusal).toBeDefined();
  });

  it('is limited in total', () => {
    const limiter = limiterOf({ concurrency: { total: 2 } });
    limiter.acquire(ciBot);
    limiter.acquire(triage);
    expect(limiter.acquire(anonymous).refusal).toBeDefined();
  });

  it('counts streams apart from calls', () => {
    const limiter = limiterOf({ concurrency: { perCaller: 1, streamsPerCaller: 1 } });
    limiter.acquire(ciBot);
    expect(limiter.acquireStream(ciBot).refusal).toBeUndefined();
    expect(limiter.acquireStream(ciBot).refusal).toBeDefined();
  });

  it('of a policy in mode: Audit refuses nothing', () => {
    const limiter = limiterOf({ shadow: { rates: [], concurrency: { perCaller: 1 } } });
    expect(limiter.acquire(ciBot)).not.toHaveProperty('wouldDeny');
    expect(limiter.acquire(ciBot)).toMatchObject({ wouldDeny: { code: 'CONCURRENCY' } });
  });
});
