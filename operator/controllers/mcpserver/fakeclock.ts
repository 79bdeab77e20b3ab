import type { VerifierClock } from './verifier.ts';

/** For the unit tests of this folder: time passes when it is told to, and everything that is due happens in order. */
export class FakeClock implements VerifierClock {
  time = Date.parse('2026-01-01T00:00:00Z');
  timers: { at: number; callback: () => void }[] = [];
  now = () => new Date(this.time);
  after = (milliseconds: number, callback: () => void) => {
    const timer = { at: this.time + milliseconds, callback };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  };
  get next(): number | undefined {
    return this.timers.length === 0 ? undefined : Math.min(...this.timers.map(({ at }) => at)) - this.time;
  }
  async advance(milliseconds: number): Promise<void> {
    const end = this.time + milliseconds;
    for (;;) {
      await settled();
      const due = this.timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.time = due.at;
      this.timers = this.timers.filter((other) => other !== due);
      due.callback();
    }
    this.time = end;
    await settled();
  }
}

/** What is resolved already has been heard of. */
const settled = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};
