import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../kube/object.ts';
import { answer, reset, ScriptedServer, stall, status } from '../kube/testing/scripted-server.ts';
import { type EventDetails, EventRecorder, type EventRecorderOptions } from './events.ts';

const regarding: KubeObject = { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a', namespace: 'ns', uid: '1', resourceVersion: '7' } };
const details: EventDetails = { type: 'Warning', reason: 'Broken', action: 'Verify', note: 'it is broken' };

describe('EventRecorder', () => {
  let server: ScriptedServer;
  let close: () => Promise<void>;
  let now = 0;
  let timers: { at: number; call: () => void }[];
  const clock = {
    now: () => now,
    wall: () => new Date(now),
    random: () => 0.5,
    after: (milliseconds: number, call: () => void) => {
      const timer = { at: now + milliseconds, call };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  const advance = (milliseconds: number): void => {
    now += milliseconds;
    const due = timers.filter(({ at }) => at <= now);
    timers = timers.filter(({ at }) => at > now);
    for (const { call } of due) call();
  };
  const open = (options: Partial<EventRecorderOptions> = {}) => {
    const { client, transport } = server.client({ retries: 0 });
    close = () => transport.close();
    return new EventRecorder({ client, controller: 'example.dev/test', instance: 'pod-1', clock, ...options });
  };
  const bodies = (): Record<string, unknown>[] => server.requests.map(({ method, body }) => ({ method, ...(JSON.parse(body) as object) }));

  beforeEach(async () => {
    server = await ScriptedServer.start();
    server.otherwise = answer(201, {});
    now = 1_000;
    timers = [];
  });
  afterEach(async () => {
    await close();
    await server[Symbol.asyncDispose]();
  });

  it('writes what the API server demands', async () => {
    const recorder = open();
    recorder.event(regarding, details);
    await recorder.stop();
    expect(server.requests[0]?.path).toBe('/apis/events.k8s.io/v1/namespaces/ns/events');
    expect(bodies()[0]).toMatchObject({
      ...details,
      eventTime: '1970-01-01T00:00:01.000000Z',
      reportingController: 'example.dev/test',
      reportingInstance: 'pod-1',
      regarding: { apiVersion: 'v1', kind: 'Thing', name: 'a', namespace: 'ns', uid: '1', resourceVersion: '7' },
    });
  });

  it('makes one object with a count of a hundred equal events', async () => {
    const recorder = open();
    for (let i = 0; i < 100; i++) recorder.event(regarding, details);
    await recorder.stop();
    const sent = bodies();
    expect(sent.map(({ method }) => method).filter((method) => method === 'POST')).toHaveLength(1);
    expect(sent.at(-1)).toMatchObject({ series: { count: 100, lastObservedTime: '1970-01-01T00:00:01.000000Z' } });
    expect(sent.length).toBeLessThanOrEqual(2);
  });

  it('updates a running series once per interval, and the rest at the end', async () => {
    const recorder = open({ seriesInterval: 10_000 });
    const sent = async (count: number): Promise<void> => {
      await server.arrived(count);
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    };
    recorder.event(regarding, details);
    await sent(1);
    recorder.event(regarding, details);
    await sent(2);
    for (let i = 0; i < 3; i++) recorder.event(regarding, details);
    advance(10_000);
    await sent(3);
    recorder.event(regarding, details);
    await recorder.stop();
    expect(bodies().map((body) => (body['series'] as { count: number } | undefined)?.count)).toEqual([undefined, 2, 5, 6]);
  });

  it('starts a new event after six idle minutes, and for another note', async () => {
    const recorder = open();
    recorder.event(regarding, details);
    await server.arrived(1);
    advance(360_000);
    recorder.event(regarding, details);
    recorder.event(regarding, { ...details, note: 'it is broken elsewhere' });
    await recorder.stop();
    expect(bodies().map(({ method }) => method)).toEqual(['POST', 'POST', 'POST']);
  });

  it('drops what does not fit the queue, without waiting or throwing', async () => {
    server.otherwise = stall;
    const dropped: string[] = [];
    const recorder = open({ capacity: 3, onDropped: (reason) => dropped.push(reason) });
    for (let i = 0; i < 10; i++) recorder.event(regarding, { ...details, note: String(i) });
    expect(dropped.length).toBeGreaterThanOrEqual(6);
    await recorder.stop(AbortSignal.abort());
  });

  it('tries again when the API server is away, and not when it refuses', async () => {
    const dropped: string[] = [];
    server.scripts.push(reset, answer(201, {}), answer(403, status(403, 'Forbidden', 'namespace is being terminated')));
    const recorder = open({ onDropped: (reason) => dropped.push(reason) });
    recorder.event(regarding, details);
    await expect.poll(() => timers.length).toBe(1);
    expect(timers[0]?.at).toBe(11_000);
    advance(10_000);
    await server.arrived(2);
    recorder.event(regarding, { ...details, note: 'refused' });
    await recorder.stop();
    expect(server.requests).toHaveLength(3);
    expect(dropped).toEqual(['namespace is being terminated']);
  });

  it('cuts a long note at a character, not within one', async () => {
    const recorder = open();
    recorder.event({ ...regarding, metadata: { name: 'cluster-scoped' } }, { ...details, note: 'ü'.repeat(1000) });
    await recorder.stop();
    const note = String(bodies()[0]?.['note']);
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
    expect(note).toMatch(/^ü+…$/);
    expect(server.requests[0]?.path).toContain('/namespaces/default/');
  });
});
