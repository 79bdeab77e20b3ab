import { expect, test } from 'vitest';
import * as conditions from '../api/conditions.ts';
import { adviceFor } from './advice.ts';

const { AcceptedReason, AvailableReason, VerifiedReason, PolicyAppliedReason, ExposedReason } = conditions;

/** Reasons that a condition has when True, or that pass by themselves. */
const good = new Set([
  'Accepted',
  'Available',
  'Suspended',
  'ScaledToZero',
  'Verified',
  'AuthenticationRequired',
  'Applied',
  'NoPolicy',
  'Exposed',
]);

const reasons = [AcceptedReason, AvailableReason, VerifiedReason, PolicyAppliedReason, ExposedReason].flatMap((table) =>
  Object.values(table),
);

test.each([...new Set(reasons)].filter((reason) => !good.has(reason)))('%s comes with advice', (reason) => {
  expect(adviceFor('github', { type: 'Ready', status: 'False', reason })).toMatch(/^(?!.*SERVER).*\.$/);
});

test('a condition that is as it should be needs none, but Stalled does', () => {
  expect(adviceFor('github', { type: 'Ready', status: 'True', reason: 'Pending' })).toBeUndefined();
  expect(adviceFor('github', { type: 'Stalled', status: 'True', reason: 'InvalidSpec' })).toBeDefined();
});

test('a reason of a newer operator has none', () => {
  expect(adviceFor('github', { type: 'Ready', status: 'False', reason: 'constructor' })).toBeUndefined();
});
