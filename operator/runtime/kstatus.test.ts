import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../kube/object.ts';
import type { Condition } from './conditions.ts';
import { kstatusViolations } from './kstatus.ts';

const condition = (type: string, overrides: Partial<Condition> = {}): Condition => ({
  type,
  status: 'True',
  reason: 'Done',
  message: '',
  observedGeneration: 2,
  lastTransitionTime: '2026-01-01T00:00:00Z',
  ...overrides,
});
const object = (conditions: Condition[], observedGeneration = 2): KubeObject =>
  ({ apiVersion: 'v1', kind: 'X', metadata: { name: 'x', generation: 2 }, status: { observedGeneration, conditions } }) as KubeObject;

describe('kstatusViolations', () => {
  it('finds nothing in a status at rest', () => {
    expect(kstatusViolations(object([condition('Ready'), condition('Accepted')]))).toEqual([]);
    expect(kstatusViolations(object([condition('Ready', { status: 'False' }), condition('Stalled')]))).toEqual([]);
  });

  const cases: Record<string, [object: KubeObject, rule: RegExp]> = {
    'an old generation': [object([condition('Ready')], 1), /status.observedGeneration is 1, not 2/],
    'an old generation of a condition': [object([condition('Ready', { observedGeneration: 1 })]), /Ready: observedGeneration/],
    'no Ready': [object([]), /no condition Ready/],
    'Ready in second place': [object([condition('Accepted'), condition('Ready')]), /not the first/],
    'two of one type': [object([condition('Ready'), condition('Ready')]), /twice/],
    'Ready and Stalled': [object([condition('Ready'), condition('Stalled')]), /Ready and Stalled/],
    'Reconciling at rest beside Ready': [object([condition('Ready'), condition('Reconciling')]), /Ready and Reconciling/],
    'a Stalled that is False': [object([condition('Ready'), condition('Stalled', { status: 'False' })]), /Stalled is present/],
    'a reason in words': [object([condition('Ready', { reason: 'not ready' })]), /PascalCase/],
    'a time with fractions': [object([condition('Ready', { lastTransitionTime: '2026-01-01T00:00:00.000Z' })]), /lastTransitionTime/],
  };
  for (const [name, [broken, rule]] of Object.entries(cases)) {
    it(`finds ${name}`, () => {
      expect(kstatusViolations(broken)).toEqual(expect.arrayContaining([expect.stringMatching(rule)]));
    });
  }
});
