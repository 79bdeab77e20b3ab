import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../mcp/jsonrpc.ts';
import type { GuardPod } from '../mcpserver/guardreports.ts';
import { issuerWorld } from './testing/world.ts';
import { UnknownKeys } from './unknownkeys.ts';

const pod = (uid: string): GuardPod => ({ namespace: 'n', name: uid, uid, address: '', ready: true, createdAt: '' });

function asking(reports: Record<string, JsonObject | Error>, issuers: readonly string[] = ['a', 'b']) {
  const { clock, pass } = issuerWorld({});
  const told: string[] = [];
  const unknown = new UnknownKeys({
    guards: () => Object.keys(reports).map((uid) => ({ pod: pod(uid), server: 'n/1', issuers })),
    read: ({ uid }) => {
      const report = reports[uid];
      return report instanceof Error || report === undefined ? Promise.reject(report) : Promise.resolve({ unknownKeys: report });
    },
    clock,
    onUnknown: (_, issuer) => told.push(issuer),
  });
  return { unknown, told, reports, pass };
}

describe('unknown keys', () => {
  it('are told once for each time that guards have met some', async () => {
    const { unknown, told, reports, pass } = asking({ 1: {}, 2: { a: 1 }, 3: new Error('it starts') });
    await unknown.start();
    await pass(5_000);
    expect(told).toEqual(['a']);
    await pass(60_000);
    expect(told).toEqual(['a']);
    reports['2'] = { a: 2, b: 1 };
    await pass(5_000);
    expect(told).toEqual(['a', 'a', 'b']);
    reports['2'] = new Error('for a moment');
    await pass(5_000);
    reports['2'] = { a: 2, b: 1 };
    await pass(5_000);
    expect(told).toHaveLength(3);
  });

  it('are asked for less often where there are many guards', async () => {
    const { unknown, told, reports, pass } = asking(Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`${at}`, {}])));
    await unknown.start();
    await pass(5_000);
    reports['7'] = { a: 1 };
    await pass(9_900);
    expect(told).toEqual([]);
    await pass(200);
    expect(told).toEqual(['a']);
  });

  it('are those of the issuers of its server, in numbers', async () => {
    const { unknown, told, pass } = asking({ 1: { a: {}, b: '1', c: 1, d: [], e: null, f: Infinity, g: 1 } }, [
      'a',
      'b',
      'd',
      'e',
      'f',
      'g',
      'toString',
    ]);
    await unknown.start();
    await pass(60_000);
    expect(told).toEqual(['g']);
  });

  it('of a guard that was started again count anew', async () => {
    const { unknown, told, reports, pass } = asking({ 1: { a: 5 } });
    await unknown.start();
    await pass(5_000);
    reports['1'] = { a: 0 };
    await pass(5_000);
    reports['1'] = { a: 3 };
    await pass(5_000);
    expect(told).toEqual(['a', 'a']);
  });

  it('concern nobody once the operator stops', async () => {
    const { unknown, told, pass } = asking({ 1: { a: 1 } });
    await unknown.start();
    unknown.stop();
    await pass(60_000);
    expect(told).toEqual([]);
  });
});
