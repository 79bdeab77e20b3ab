import { once } from 'node:events';
import { createServer } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import { server, UNGUARDED } from './builders.ts';
import { Bypasses, type BypassTarget, forbiddenPort, type Restrictions, tcpReach } from './bypass.ts';
import { FakeClock } from './fakeclock.ts';

describe('the port that nobody may reach', () => {
  const cases: Record<string, [spec: Partial<MCPServerSpecInput>, restrictions: Partial<Restrictions>, port: number | undefined]> = {
    'is that of a server which a policy selects': [{}, { policies: 1 }, 8080],
    'is that of a package, on its own port': [
      { package: { npm: { name: 'a', version: '1.0.0' } }, transport: { port: 3000 } },
      { policies: 1 },
      3000,
    ],
    'is that of a server whose callers are checked': [{ authentication: { type: 'Guard', anonymous: true } }, {}, 8080],
    'is that of a server that requires a policy': [{ policy: { required: true } }, {}, 8080],
    'is that of any server where the operator restricts all of them': [{}, { ambient: 'ReadOnly' }, 8080],
    'is none where the guard keeps nothing from anybody': [{}, {}, undefined],
    'is none where the server itself checks callers': [{ authentication: { type: 'Upstream' } }, {}, undefined],
    'is none on loopback': [{ transport: { bind: 'Loopback' } }, { policies: 1 }, undefined],
    'is none over Stdio': [{ container: { image: 'x:1', command: ['x'] }, transport: { type: 'Stdio' } }, { policies: 1 }, undefined],
    'is none of a server that runs elsewhere': [{ service: { name: 'a', port: 80 } }, { policies: 1 }, undefined],
    'is none without a guard: everybody may': [UNGUARDED, { policies: 1 }, undefined],
  };
  for (const [name, [spec, restrictions, port]] of Object.entries(cases))
    it(name, () => expect(forbiddenPort(server(spec), { policies: 0, ambient: 'Allow', ...restrictions })).toBe(port));
});

describe('Bypasses', () => {
  const target: BypassTarget = { port: 8080, addresses: ['10.0.0.1'], told: false };
  const HOUR = 3_600_000;
  let clock: FakeClock;
  let tried: string[];
  let changes: string[];
  let open: boolean;
  let bypasses: Bypasses;

  beforeEach(() => {
    clock = new FakeClock();
    tried = [];
    changes = [];
    open = true;
    bypasses = new Bypasses({
      clock,
      random: () => 0.5,
      reach: (address, port) => {
        tried.push(`${address}:${port}`);
        return Promise.resolve(open);
      },
      onChange: (key) => changes.push(key),
    });
  });

  it('tries soon, and then every hour', async () => {
    bypasses.track('a', target);
    await clock.advance(2_000);
    expect([bypasses.openPort('a'), tried, changes]).toEqual([8080, ['10.0.0.1:8080'], ['a']]);
    bypasses.track('a', { ...target, addresses: ['10.0.0.2'], told: true });
    await clock.advance(10 * HOUR);
    expect(tried.length).toBe(11);
    expect(tried.at(-1)).toBe('10.0.0.2:8080');
    expect(changes).toEqual(['a']);
  });

  it('believes what contradicts it when it is seen twice', async () => {
    bypasses.track('a', target);
    await clock.advance(2_000);
    open = false;
    await clock.advance(HOUR);
    expect(bypasses.openPort('a')).toBe(8080);
    open = true;
    await clock.advance(60_000);
    expect([bypasses.openPort('a'), changes]).toEqual([8080, ['a']]);
    open = false;
    await clock.advance(HOUR + 60_000);
    expect([bypasses.openPort('a'), changes]).toEqual([undefined, ['a', 'a']]);
  });

  it('holds what status tells until it knows better, in a process that has just started', async () => {
    bypasses.track('a', { ...target, told: true });
    expect(bypasses.openPort('a')).toBe(8080);
    await clock.advance(60_000);
    expect([tried.length, changes]).toEqual([1, []]);
  });

  it('learns nothing from a server without a ready pod', async () => {
    bypasses.track('a', { ...target, addresses: [], told: true });
    open = false;
    await clock.advance(HOUR);
    expect([tried, bypasses.openPort('a')]).toEqual([[], 8080]);
  });

  it('begins anew with another port', async () => {
    bypasses.track('a', target);
    await clock.advance(2_000);
    bypasses.track('a', { ...target, port: 9090 });
    expect(bypasses.openPort('a')).toBeUndefined();
    await clock.advance(2_000);
    expect(tried).toEqual(['10.0.0.1:8080', '10.0.0.1:9090']);
  });

  it('has sixteen connections at a time', async () => {
    const held: (() => void)[] = [];
    const many = new Bypasses({
      clock,
      random: () => 0.5,
      reach: () => new Promise((resolve) => held.push(() => resolve(true))),
      onChange: (key) => changes.push(key),
    });
    for (let index = 0; index < 20; index++) many.track(`server-${index}`, target);
    await clock.advance(2_000);
    expect(held.length).toBe(16);
    for (const release of held.splice(0)) release();
    await clock.advance(0);
    expect([held.length, changes.length]).toEqual([4, 16]);
  });

  it('forgets', async () => {
    bypasses.track('a', target);
    bypasses.forget('a');
    await clock.advance(HOUR);
    expect([tried, clock.next]).toEqual([[], undefined]);
  });
});

describe('a try', () => {
  it('is a connection that comes about, or does not', async () => {
    const listening = createServer().listen(0, '127.0.0.1');
    await once(listening, 'listening');
    const address = listening.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect(await tcpReach('127.0.0.1', port)).toBe(true);
    listening.close();
    await once(listening, 'close');
    expect(await tcpReach('127.0.0.1', port)).toBe(false);
  });
});
