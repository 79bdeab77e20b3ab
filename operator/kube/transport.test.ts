import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubeError } from './errors.ts';
import type { ConfigMap } from './wire.ts';
import { ConfigMaps } from './resources.ts';
import { answer, events, reset, ScriptedServer, stall, status } from './testing/scripted-server.ts';
import type { Observation } from './transport.ts';

const name = { namespace: 'default', name: 'a' };
const object: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: name };
const ok = answer(200, object);

describe('Transport', () => {
  let server: ScriptedServer;
  let waits: number[];
  const open = (options: Parameters<ScriptedServer['client']>[0] = {}) =>
    server.client({
      wait: (milliseconds) => {
        waits.push(milliseconds);
        return Promise.resolve();
      },
      random: () => 0.5,
      ...options,
    });

  beforeEach(async () => {
    server = await ScriptedServer.start();
    waits = [];
  });
  afterEach(async () => {
    await server[Symbol.asyncDispose]();
  });

  it('keeps its connections', async () => {
    server.otherwise = ok;
    const { client, transport } = open();
    for (let i = 0; i < 20; i++) await client.get(ConfigMaps, name);
    // A second one where an answer is read before its connection is free again.
    expect(server.connections).toBeLessThanOrEqual(2);
    await transport.close();
  });

  it('opens no more connections than allowed', async () => {
    server.otherwise = ok;
    const { client, transport } = open({ connections: 3 });
    await Promise.all(Array.from({ length: 50 }, () => client.get(ConfigMaps, name)));
    expect(server.connections).toBe(3);
    await transport.close();
  });

  it('keeps leases and events off the connections of requests', async () => {
    server.scripts.push(stall);
    server.otherwise = ok;
    const { client, transport } = open({ connections: 1 });
    const stalled = client.get(ConfigMaps, name).catch(() => 'ended');
    await server.arrived(1);
    await client.with({ lane: 'leases' }).get(ConfigMaps, name);
    await client.with({ lane: 'events' }).get(ConfigMaps, name);
    await transport.close();
    expect(await stalled).toBe('ended');
  });

  const throttled = {
    '429 with Retry-After': { code: 429, header: '2', waits: [2000] },
    '503 with Retry-After': { code: 503, header: '1', waits: [1000] },
    '429 with a Retry-After beyond reason': { code: 429, header: '3600', waits: [30_000] },
  };
  for (const [title, { code, header, waits: expected }] of Object.entries(throttled)) {
    it(`obeys ${title}`, async () => {
      server.scripts.push(answer(code, status(code, 'TooManyRequests', 'slow'), { 'retry-after': header }), ok);
      const { client, transport } = open();
      await client.apply(ConfigMaps, object, { fieldManager: 'x' });
      expect(waits).toEqual(expected);
      await transport.close();
    });
  }

  it('gives up after ten repetitions', async () => {
    server.otherwise = answer(429, status(429, 'TooManyRequests', 'slow'), { 'retry-after': '1' });
    const { client, transport } = open();
    await expect(client.get(ConfigMaps, name)).rejects.toMatchObject({ code: 'TooManyRequests', status: 429 });
    expect(server.requests).toHaveLength(11);
    await transport.close();
  });

  it('does not repeat a failure that would repeat itself', async () => {
    server.scripts.push(answer(500, status(500, 'InternalError', 'boom')));
    const { client, transport } = open();
    await expect(client.get(ConfigMaps, name)).rejects.toMatchObject({ code: 'InternalError', message: 'boom' });
    expect(server.requests).toHaveLength(1);
    await transport.close();
  });

  it('repeats an apply when the connection breaks', async () => {
    server.scripts.push(reset, reset, ok);
    const { client, transport } = open();
    await client.apply(ConfigMaps, object, { fieldManager: 'x' });
    expect(waits).toEqual([100, 200]);
    await transport.close();
  });

  it('does not repeat a create when the connection breaks', async () => {
    server.scripts.push(reset, ok);
    const { client, transport } = open();
    await expect(client.create(ConfigMaps, object)).rejects.toMatchObject({ code: 'Network' });
    expect(server.requests).toHaveLength(1);
    await transport.close();
  });

  it('answers a 401 once, with a freshly read token', async () => {
    let token = 'old';
    let refusals = 0;
    const credentials = {
      authorization: () => Promise.resolve(`Bearer ${token}`),
      refused: () => {
        refusals += 1;
        token = 'new';
      },
    };
    server.scripts.push(answer(401, status(401, 'Unauthorized', 'no')), ok);
    const { client, transport } = open({ credentials });
    await client.get(ConfigMaps, name);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer new']);

    server.otherwise = answer(401, status(401, 'Unauthorized', 'no'));
    await expect(client.get(ConfigMaps, name)).rejects.toMatchObject({ code: 'Unauthorized' });
    expect(refusals).toBe(2);
    await transport.close();
  });

  it('gives up when the signal aborts, also while waiting for a socket', async () => {
    server.otherwise = stall;
    const { client, transport } = open({ connections: 1 });
    const first = new AbortController();
    const second = new AbortController();
    const outcomes = [first, second].map(({ signal }) => client.get(ConfigMaps, name, { signal }).catch((error: unknown) => error));
    await server.arrived(1);
    second.abort(new Error('second'));
    first.abort(new Error('first'));
    expect(await Promise.all(outcomes)).toEqual([new Error('first'), new Error('second')]);
    expect(server.requests).toHaveLength(1);
    await transport.close();
  });

  it('takes a peer that never answers for dead', async () => {
    server.otherwise = stall;
    const { client, transport } = open({ timeout: 150, retries: 0 });
    await expect(client.get(ConfigMaps, name)).rejects.toMatchObject({ code: 'Network' });
    await transport.close();
  });

  it('takes silence on a watch for death, and not a steady trickle', async () => {
    const { client, transport } = open({ watchIdle: 200 });
    const seen: string[] = [];
    server.scripts.push((response) => {
      events([{ type: 'BOOKMARK', object: { metadata: { resourceVersion: '0' } } }])(response, server.requests[0] as never);
      let beats = 1;
      const timer = setInterval(() => {
        response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(beats) } } })}\n`);
        beats += 1;
        if (beats === 5) clearInterval(timer);
      }, 100);
    });
    const watch = client.watch(ConfigMaps, {}, ({ object }) => seen.push((object as ConfigMap).metadata.resourceVersion ?? ''));
    await expect(watch).rejects.toMatchObject({ code: 'Network' });
    expect(seen).toEqual(['0', '1', '2', '3', '4']);
    await transport.close();
  });

  it('waits through silence where there are no bookmarks', async () => {
    const { client, transport } = open({ watchIdle: 100 });
    server.scripts.push((response) => {
      response.writeHead(200);
      response.flushHeaders();
      setTimeout(() => response.end(`${JSON.stringify({ type: 'ADDED', object })}\n`), 400);
    });
    const seen: string[] = [];
    await client.watch(ConfigMaps, { silent: true }, ({ type }) => seen.push(type));
    expect(seen).toEqual(['ADDED']);
    await transport.close();
  });

  it('cuts the stream into events wherever packets end', async () => {
    const line = `${JSON.stringify({ type: 'ADDED', object: { ...object, data: { text: 'Grüße 🚀\n' } } })}\n`;
    const bytes = Buffer.from(line + line);
    server.scripts.push((response) => {
      response.writeHead(200);
      const parts = Array.from(bytes, (byte) => Buffer.from([byte]));
      const next = (): void => {
        const part = parts.splice(0, 7);
        if (part.length === 0) response.end();
        else response.write(Buffer.concat(part), next);
      };
      next();
    });
    const { client, transport } = open();
    const texts: (string | undefined)[] = [];
    await client.watch(ConfigMaps, {}, ({ object: found }) => texts.push((found as ConfigMap).data?.['text']));
    expect(texts).toEqual(['Grüße 🚀\n', 'Grüße 🚀\n']);
    await transport.close();
  });

  it('says what a proxy said that is no Status', async () => {
    server.scripts.push(answer(502, '<html>Bad gateway</html>'));
    const { client, transport } = open();
    const error = await client.get(ConfigMaps, name).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(KubeError);
    expect(error).toMatchObject({ code: 'Unknown', status: 502, message: expect.stringContaining('Bad gateway') });
    await transport.close();
  });

  it('reports each request once, and each repetition', async () => {
    const finished: string[] = [];
    const retried: string[] = [];
    const observer = {
      finished: ({ method, code, watch }: Observation) => finished.push(`${method} ${code}${watch ? ' watch' : ''}`),
      retried: (method: string, _: string, code: string) => retried.push(`${method} ${code}`),
    };
    server.scripts.push(answer(429, '{}', { 'retry-after': '1' }), reset, ok, events([], 'end'));
    const { client, transport } = open({ observer });
    await client.get(ConfigMaps, name);
    await client.watch(ConfigMaps, {}, () => {});
    expect(finished).toEqual(['GET 429', 'GET <error>', 'GET 200', 'GET 200 watch']);
    expect(retried).toEqual(['GET 429', 'GET <error>']);
    await transport.close();
  });

  describe('behind a fence', () => {
    it('holds writes back and lets reads pass', async () => {
      server.otherwise = ok;
      const { client, transport } = open();
      const fenced = client.with({ mayWrite: () => false });
      await expect(fenced.apply(ConfigMaps, object, { fieldManager: 'x' })).rejects.toMatchObject({ code: 'Fenced' });
      await expect(fenced.delete(ConfigMaps, name)).rejects.toMatchObject({ code: 'Fenced' });
      await fenced.get(ConfigMaps, name);
      expect(server.requests.map(({ method }) => method)).toEqual(['GET']);
      await transport.close();
    });

    it('asks when a socket is free, not when the write was queued', async () => {
      let held = true;
      let release = (): void => {};
      server.scripts.push((response) => {
        release = () => ok(response, server.requests[0] as never);
      });
      server.otherwise = ok;
      const { client, transport } = open({ connections: 1 });
      const fenced = client.with({ mayWrite: () => held });
      const first = fenced.apply(ConfigMaps, object, { fieldManager: 'x' });
      await server.arrived(1);
      const queued = fenced.apply(ConfigMaps, object, { fieldManager: 'x' });
      held = false;
      release();
      await first;
      await expect(queued).rejects.toMatchObject({ code: 'Fenced' });
      expect(server.requests).toHaveLength(1);
      await transport.close();
    });

    it('asks again before a repetition', async () => {
      let held = true;
      server.scripts.push((response, request) => {
        held = false;
        answer(429, '{}', { 'retry-after': '1' })(response, request);
      });
      const { client, transport } = open();
      await expect(client.with({ mayWrite: () => held }).apply(ConfigMaps, object, { fieldManager: 'x' })).rejects.toMatchObject({
        code: 'Fenced',
      });
      expect(server.requests).toHaveLength(1);
      await transport.close();
    });
  });
});
