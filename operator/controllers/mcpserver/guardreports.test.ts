import { afterEach, describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '../../../mcp/jsonrpc.ts';
import { askGuards, type GuardPod, PODS_AT_ONCE, readPage } from './guardreports.ts';
import { rejectionOf, resultOf } from './guardresult.ts';

const pod = (name: string, more: Partial<GuardPod> = {}): GuardPod => ({
  namespace: 'a',
  name,
  uid: name,
  address: '10.0.0.1',
  ready: true,
  createdAt: '2026-01-01T00:00:00Z',
  ...more,
});

const server = { name: 's', version: '1', protocolVersions: ['2025-06-18'], era: 'Legacy', capabilities: ['tools'] };
const listing = (...tools: readonly string[]): JsonObject => ({
  result: { outcome: 'Verified', message: 'it speaks MCP' },
  server,
  tools: tools.map((name) => ({ name, inputSchema: { type: 'object' } })),
  duplicates: [],
  warnings: [],
});
const failing = (message: string): JsonObject => ({ result: { outcome: 'HandshakeFailed', message }, server: null, tools: [] });

const asked = (pods: readonly GuardPod[], pages: Readonly<Record<string, JsonObject>>) =>
  askGuards(
    pods,
    ({ name }) => {
      const page = pages[name];
      return page === undefined ? Promise.reject(new Error('connect ECONNREFUSED')) : Promise.resolve(page);
    },
    new AbortController().signal,
  );

describe('what guards found', () => {
  it('is read with hints and digests as the operator makes them itself', () => {
    const result = resultOf(listing('echo'));
    expect(result).toMatchObject({ outcome: 'Verified', server, inventory: { tools: [{ name: 'echo' }] } });
    expect(result?.outcome === 'Verified' && result.inventory.tools[0]?.digest).toMatch(/^sha256:/);
  });

  it('is nothing before the first attempt', () => {
    expect(resultOf({ result: null, server: null })).toBeUndefined();
  });

  it('is nothing that no guard finds', () => {
    for (const outcome of ['x'.repeat(1000), '', 'verified', 'toString', 7, null, ['Verified'], { Verified: 1 }])
      expect(() => resultOf({ result: { outcome, message: '' }, server: null })).toThrow('an outcome that is none');
    for (const era of ['legacy', undefined, null, {}])
      expect(() => resultOf({ ...listing('echo'), server: { ...server, ...(era !== undefined ? { era } : { era: 1 }) } })).toThrow(
        'an era',
      );
    const tools = Array.from({ length: 10_001 }, (_, at) => ({ name: `t${at}`, inputSchema: { type: 'object' } }));
    expect(() => resultOf({ ...listing(), tools })).toThrow('more than 10000 tools');
  });

  it('is bounded, and may be printed', () => {
    const long = '\u001b[31m'.repeat(100_000);
    const facts = {
      ...server,
      name: long,
      version: { a: 1 },
      protocolVersions: [long, 7],
      capabilities: Array(1000).fill(long),
      more: long,
    };
    const page = { ...listing('echo'), server: facts, duplicates: ['echo', long], warnings: Array(1000).fill(long) };
    const results = [
      resultOf(page),
      resultOf({ ...page, result: { outcome: 'Timeout', message: long } }),
      resultOf({ ...page, result: { outcome: 'AuthenticationRequired', message: long, status: long } }),
    ];
    for (const result of results) {
      expect(JSON.stringify(result).length).toBeLessThan(64 * 1024);
      expect(JSON.stringify(result)).not.toContain('\\u001b');
    }
    expect(results[0]).toMatchObject({ inventory: { duplicates: ['echo'] } });
    expect(rejectionOf({ rejections: [{ file: 'f', message: long }] })?.length).toBeLessThan(1100);
    expect([[null], [7], [], 'x', null].map((rejections) => rejectionOf({ rejections }))).toEqual(Array(5).fill(undefined));
    expect(rejectionOf({ rejections: [{ file: 'bundle.json' }] })).toBe('bundle.json');
  });

  it('is the worst of the ready pods', async () => {
    expect(await asked([pod('one'), pod('two')], { one: listing('echo'), two: failing('no') })).toMatchObject({
      outcome: 'HandshakeFailed',
      message: 'no',
    });
  });

  it('is that of the newest pod while all work', async () => {
    const newer = pod('two', { createdAt: '2026-01-02T00:00:00Z' });
    expect(await asked([pod('one'), newer], { one: listing('old'), two: listing('new') })).toMatchObject({
      inventory: { tools: [{ name: 'new' }] },
    });
  });

  it('does not count a pod that is not ready beside one that is', async () => {
    expect(await asked([pod('one'), pod('two', { ready: false })], { one: listing('echo'), two: failing('no') })).toMatchObject({
      outcome: 'Verified',
    });
  });

  it('tells why no pod is ready', async () => {
    expect(await asked([pod('one', { ready: false })], { one: failing('protocol version 1') })).toMatchObject({
      message: 'protocol version 1',
    });
  });

  it('names the pod whose guard cannot be asked', async () => {
    expect(await asked([pod('one')], {})).toEqual({
      outcome: 'ConnectionRefused',
      message: 'The guard of pod one cannot be asked: connect ECONNREFUSED',
      server: undefined,
    });
  });
});

describe('the page of a guard', () => {
  const MiB = 1024 * 1024;
  const signal = new AbortController().signal;
  afterEach(() => void vi.useRealTimers());

  /** Sends `bytes` in pieces, and ends then or waits for ever. */
  async function* body(bytes: number, state: { sent: number; closed: boolean }, ends = true): AsyncGenerator<Uint8Array> {
    try {
      const text = Buffer.from(`{"a":"${'x'.repeat(bytes - 8)}"}`);
      for (let at = 0; at < text.length; at += MiB / 8) {
        state.sent = at;
        yield text.subarray(at, at + MiB / 8);
      }
      if (!ends) await new Promise(() => {});
    } finally {
      state.closed = true;
    }
  }
  const fresh = () => ({ sent: 0, closed: false });

  it('has a limit, and its connection is closed there', async () => {
    for (const [page, most] of [
      ['/status', MiB / 4],
      ['/inventory', 8 * MiB],
    ] as const) {
      const state = fresh();
      const reading = readPage('a', page, signal, () => Promise.resolve({ status: 200, body: body(40 * MiB, state) }));
      await expect(reading).rejects.toThrow(`more than ${most} bytes`);
      expect(state.sent).toBeLessThanOrEqual(most);
      expect(state.closed).toBe(true);
    }
  });

  it('is read with others as long as it is small, and alone when it is large', async () => {
    const { promise: held, resolve: finish } = Promise.withResolvers<void>();
    const first = fresh();
    const slow = async function* () {
      yield* body(MiB, first, true);
      await held;
    };
    const one = readPage('a', '/inventory', signal, () => Promise.resolve({ status: 200, body: slow() }));
    await vi.waitFor(() => expect(first.closed).toBe(true));
    const second = fresh();
    const two = readPage('a', '/inventory', signal, () => Promise.resolve({ status: 200, body: body(MiB, second) }));
    const small = await readPage('a', '/inventory', signal, () => Promise.resolve({ status: 200, body: body(1000, fresh()) }));
    expect(Object.keys(small)).toEqual(['a']);
    await vi.waitFor(() => expect(second.sent).toBe(MiB / 4));
    finish();
    await Promise.all([one, two]);
  });

  it('that is large waits for one of each other namespace, however many it has', async () => {
    const finished: string[] = [];
    const { promise: held, resolve: finish } = Promise.withResolvers<void>();
    const large = (namespace: string, name: string, until: Promise<void> = Promise.resolve()) => {
      const state = fresh();
      const slow = async function* () {
        yield* body(MiB, state);
        await until;
      };
      const reading = readPage(namespace, '/inventory', signal, () => Promise.resolve({ status: 200, body: slow() }));
      return { state, done: reading.then(() => finished.push(name)) };
    };
    const first = large('a', 'a1', held);
    await vi.waitFor(() => expect(first.state.closed).toBe(true));
    const others = [large('a', 'a2'), large('a', 'a3'), large('b', 'b1')];
    for (const { state } of others) await vi.waitFor(() => expect(state.sent).toBe(MiB / 4));
    finish();
    await Promise.all([first, ...others].map(({ done }) => done));
    expect(finished).toEqual(['a1', 'b1', 'a2', 'a3']);
  });

  it('that is large must not stop for 2 seconds', async () => {
    vi.useFakeTimers();
    const stopping = readPage('a', '/inventory', signal, (patient) => {
      const stopped = async function* () {
        yield* body(MiB, fresh());
        await new Promise((_, reject) => patient.addEventListener('abort', () => reject(patient.reason as Error)));
      };
      return Promise.resolve({ status: 200, body: stopped() });
    });
    const refused = expect(stopping).rejects.toThrow('stopped answering for 2000 ms');
    await vi.advanceTimersByTimeAsync(2_000);
    await refused;
  });

  it('is waited for 5 seconds', async () => {
    vi.useFakeTimers();
    const mute = readPage(
      'a',
      '/status',
      signal,
      (patient) => new Promise((_, reject) => patient.addEventListener('abort', () => reject(patient.reason as Error))),
    );
    const refused = expect(mute).rejects.toThrow('did not answer within 5000 ms');
    await vi.advanceTimersByTimeAsync(5_000);
    await refused;
  });

  it('is asked of a few pods of a server at a time', async () => {
    const { promise, resolve } = Promise.withResolvers<JsonObject>();
    let running = 0;
    const pods = Array.from({ length: 3 * PODS_AT_ONCE }, (_, index) => pod(`p${index}`));
    const result = askGuards(
      pods,
      () => {
        running += 1;
        return promise;
      },
      signal,
    );
    await vi.waitFor(() => expect(running).toBe(PODS_AT_ONCE));
    resolve(listing('echo'));
    expect(await result).toMatchObject({ outcome: 'Verified' });
    expect(running).toBe(pods.length);
  });
});
