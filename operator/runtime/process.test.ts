import { EventEmitter } from 'node:events';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { runProcess } from './process.ts';

function open(stop: () => Promise<void> = async () => {}, start: () => Promise<void> = async () => {}) {
  const emitter = new EventEmitter();
  const codes: number[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<number>();
  const calls: string[] = [];
  const manager = {
    start: () => {
      calls.push('start');
      return start();
    },
    stop: async () => {
      calls.push('stop');
      await stop();
      resolve(0);
    },
    ended,
  };
  const process = {
    on: (event: string, listener: (...args: unknown[]) => void) => emitter.on(event, listener),
    exit: (code: number) => void codes.push(code),
  };
  const running = runProcess(manager, pino({ level: 'silent' }), { process, close: async () => void calls.push('close') });
  return { emitter, codes, calls, running, resolve };
}

it('stops in order at the first signal and exits with 0', async () => {
  const { emitter, codes, calls, running } = open();
  emitter.emit('SIGTERM');
  await running;
  expect(calls).toEqual(['start', 'stop', 'close']);
  expect(codes).toEqual([0]);
});

it('exits with 1 at once at the second', () => {
  const { emitter, codes, calls } = open(() => new Promise(() => {}));
  emitter.emit('SIGTERM');
  expect(codes).toEqual([]);
  emitter.emit('SIGINT');
  expect(codes).toEqual([1]);
  expect(calls).toEqual(['start', 'stop']);
});

it('exits with 1 when leadership was lost or the start failed', async () => {
  const { codes, running, resolve } = open(undefined, () => Promise.reject(new Error('no caches')));
  resolve(1);
  await running;
  expect(codes).toEqual([1]);
});

for (const event of ['unhandledRejection', 'uncaughtException']) {
  it(`exits with 1 after an ${event}`, () => {
    const { emitter, codes } = open();
    emitter.emit(event, new Error('bug'));
    expect(codes).toEqual([1]);
  });
}
