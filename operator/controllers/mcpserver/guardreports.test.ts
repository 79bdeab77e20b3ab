import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../mcp/jsonrpc.ts';
import { askGuards, type GuardPod, resultOf } from './guardreports.ts';

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
