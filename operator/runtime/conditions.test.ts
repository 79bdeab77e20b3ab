import { describe, expect, it } from 'vitest';
import { type Condition, microTime, withConditions } from './conditions.ts';

const then = '2026-01-01T00:00:00Z';
const now = new Date('2026-01-02T00:00:00.123Z');
const condition = (type: string, overrides: Partial<Condition> = {}): Condition => ({
  type,
  status: 'True',
  reason: 'Available',
  message: 'ok',
  observedGeneration: 1,
  lastTransitionTime: then,
  ...overrides,
});

describe('withConditions', () => {
  const cases = {
    'keeps the time while the status stays': { update: condition('Ready', { reason: 'Scaled' }), time: then },
    'moves the time when the status changes': { update: condition('Ready', { status: 'False' }), time: '2026-01-02T00:00:00Z' },
  };
  for (const [name, { update, time }] of Object.entries(cases)) {
    it(name, () => {
      expect(withConditions([condition('Ready')], [update], 2, now)[0]).toMatchObject({ lastTransitionTime: time, observedGeneration: 2 });
    });
  }

  it('gives the same for the same, byte for byte', () => {
    const first = withConditions(undefined, [condition('Verified'), condition('Ready')], 1, now);
    const second = withConditions(first, [condition('Ready'), condition('Verified')], 1, new Date());
    expect(JSON.stringify(second)).toBe(JSON.stringify(first));
  });

  it('puts Ready first and the others by name', () => {
    const types = withConditions(
      [],
      ['Verified', 'Accepted', 'Ready'].map((type) => condition(type)),
      1,
      now,
    ).map(({ type }) => type);
    expect(types).toEqual(['Ready', 'Accepted', 'Verified']);
  });

  it('shows Reconciling and Stalled only while they are true', () => {
    const stalled = withConditions([], [condition('Ready', { status: 'False' }), condition('Stalled')], 1, now);
    expect(stalled.map(({ type }) => type)).toEqual(['Ready', 'Stalled']);
    expect(withConditions(stalled, [condition('Ready')], 1, now).map(({ type }) => type)).toEqual(['Ready']);
    expect(withConditions([], [condition('Reconciling', { status: 'False' })], 1, now)).toEqual([]);
  });

  it('keeps conditions of others', () => {
    expect(withConditions([condition('Foreign')], [condition('Ready')], 1, now).map(({ type }) => type)).toEqual(['Ready', 'Foreign']);
  });
});

it('writes MicroTime with six digits', () => {
  expect(microTime(now)).toBe('2026-01-02T00:00:00.123000Z');
});
