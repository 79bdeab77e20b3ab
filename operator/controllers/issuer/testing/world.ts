import { Issuers } from '../issuers.ts';
import { KeySetError } from '../keyset.ts';
import type { FoundKeys, KeySource } from '../source.ts';

/** What a source answers: its keys at once or later, why not, or nothing at all (`never`). */
export type Answers = Record<string, FoundKeys | Promise<FoundKeys> | string>;

/** Sources by their issuer, or `cluster`; a clock that only the test moves. */
export function issuerWorld(answers: Answers, concurrency?: number) {
  let now = 0;
  let timers: { at: number; callback: () => void }[] = [];
  const asked: string[] = [];
  const changed: string[] = [];
  const answer = async (source: KeySource): Promise<FoundKeys> => {
    const name = source.type === 'Cluster' ? 'cluster' : source.issuer;
    asked.push(name);
    const given = answers[name] ?? 'it is not there';
    if (given === 'never') return new Promise(() => {});
    if (typeof given === 'string') throw new KeySetError(given);
    return given;
  };
  const clock = {
    now: () => new Date(now),
    after: (milliseconds: number, callback: () => void) => {
      const timer = { at: now + milliseconds, callback };
      timers.push(timer);
      return () => void (timers = timers.filter((other) => other !== timer));
    },
  };
  const issuers = new Issuers({
    fetch: answer,
    clock,
    random: () => 0.5,
    onChange: (key) => changed.push(key),
    onError: (error) => {
      throw error;
    },
    ...(concurrency !== undefined && { concurrency }),
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
      timers = timers.filter((other) => other !== next);
      next.callback();
    }
    now = end;
    await settle();
  };
  return { issuers, answers, asked, changed, clock, pass };
}
