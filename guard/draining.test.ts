import { expect, test } from 'vitest';
import { Draining } from './draining.ts';

/** Whether a promise is settled by what has happened so far. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return settled;
}
const LONG = 1_000_000;

test('the server of a pod that goes ends once its last call has', async () => {
  const draining = new Draining(LONG, () => {});
  draining.callStarted();
  const released = draining.released(LONG);
  draining.leave();
  expect(await isSettled(released)).toBe(false);
  draining.begin();
  expect(await isSettled(released)).toBe(false);
  draining.callEnded();
  expect(await isSettled(released)).toBe(true);
});

test('the server of a pod that is going already waits no less', async () => {
  const draining = new Draining(LONG, () => {});
  draining.leave();
  const released = draining.released(0);
  expect(await isSettled(released)).toBe(false);
  draining.begin();
  expect(await isSettled(released)).toBe(true);
});

test('a server that is replaced in a pod that stays does not wait for a drain that never begins', async () => {
  const draining = new Draining(LONG, () => {});
  draining.callStarted();
  await draining.released(1);
  expect(draining.active).toBe(false);
});

test('a farewell is counted from the moment in which draining was over', () => {
  const clock = { now: 1_000 };
  const draining = new Draining(
    30_000,
    () => undefined,
    () => clock.now,
  );
  draining.callStarted();
  draining.begin();
  clock.now += 9_000;
  expect(draining.left(4_000)).toBe(4_000);
  draining.callEnded();
  clock.now += 1_500;
  expect(draining.left(4_000)).toBe(2_500);
  clock.now += 60_000;
  expect(draining.left(4_000)).toBe(0);
});
