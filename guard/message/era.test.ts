import { classifyInboundRequest } from '@modelcontextprotocol/server';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EraResult, StandardHeaders } from './era.ts';
import { decodeHeader, eraOf } from './era.ts';
import { message } from './message.ts';
import { scan } from './scan.ts';

const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };

function era(body: object, headers: Partial<StandardHeaders> = {}): EraResult {
  const scanned = scan(Buffer.from(JSON.stringify(body)));
  const read = scanned.ok ? message(scanned.document) : undefined;
  if (read?.ok !== true) throw new Error('the test has a bad body');
  return eraOf(read.message, { version: undefined, method: undefined, name: undefined, ...headers });
}

const call = (params: object): object => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });

describe('the era of a message', () => {
  test.each([
    ['legacy without anything', call({ name: 'x' }), {}, 'legacy'],
    ['legacy by its header', call({ name: 'x' }), { version: '2025-11-25' }, 'legacy'],
    ['modern by body and headers', call({ name: 'x', _meta: META }), { version: '2026-07-28', method: 'tools/call', name: 'x' }, 'modern'],
    [
      'legacy when the header says so and the body has reserved keys without a version',
      call({ name: 'x', _meta: { 'io.modelcontextprotocol/clientInfo': {} } }),
      { version: '2025-11-25' },
      'legacy',
    ],
    ['legacy for initialize', { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} }, {}, 'legacy'],
    [
      'modern by the header alone, for the server to complain',
      call({ name: 'x' }),
      { version: '2026-07-28', method: 'tools/call', name: 'x' },
      'modern',
    ],
  ])('is %s', (_what, body, headers, expected) => {
    expect(era(body, headers)).toMatchObject({ ok: true, era: expected });
  });

  test.each([
    ['another version in the header', { version: '2025-11-25', method: 'tools/call', name: 'x' }],
    ['no version header', { method: 'tools/call', name: 'x' }],
    ['no method header', { version: '2026-07-28', name: 'x' }],
    ['another method in the header', { version: '2026-07-28', method: 'tools/list', name: 'x' }],
    ['no name header', { version: '2026-07-28', method: 'tools/call' }],
    ['another name in the header', { version: '2026-07-28', method: 'tools/call', name: 'y' }],
    ['a name that is not what it claims to be', { version: '2026-07-28', method: 'tools/call', name: '=?base64?!?=' }],
    ['two joined method headers', { version: '2026-07-28', method: 'tools/call, tools/list', name: 'x' }],
  ])('is refused with %s', (_what, headers) => {
    expect(era(call({ name: 'x', _meta: META }), headers)).toMatchObject({ ok: false });
  });

  test('a name in base64 is compared decoded', () => {
    const name = `=?base64?${Buffer.from('ü').toString('base64')}?=`;
    expect(era(call({ name: 'ü', _meta: META }), { version: '2026-07-28', method: 'tools/call', name })).toMatchObject({ era: 'modern' });
    expect(decodeHeader('=?base64?w7w?=')).toBeUndefined();
  });
});

test('agrees with the official SDK about the era, and is never more lenient', () => {
  const version = fc.constantFrom(undefined, '2025-03-26', '2025-11-25', '2026-07-28', '2027-01-01', 'x');
  const method = fc.constantFrom('tools/call', 'initialize', 'tools/list', 'server/discover', 'notifications/cancelled');
  fc.assert(
    fc.property(
      fc.record({ claim: version, header: version, method, methodHeader: fc.option(method, { nil: undefined }), request: fc.boolean() }),
      ({ claim, header, method, methodHeader, request }) => {
        const meta = claim === undefined ? {} : { ...META, 'io.modelcontextprotocol/protocolVersion': claim };
        const body = { jsonrpc: '2.0', ...(request ? { id: 1 } : {}), method, params: { name: 'x', _meta: meta } };
        const ours = era(body, { version: header, method: methodHeader, name: 'x' });
        const theirs = classifyInboundRequest({
          httpMethod: 'POST',
          body,
          ...(header === undefined ? {} : { protocolVersionHeader: header }),
          ...(methodHeader === undefined ? {} : { mcpMethodHeader: methodHeader }),
        });
        // What the SDK rejects for an incomplete envelope we leave to the server; mismatches of headers we refuse ourselves.
        if (!ours.ok) return;
        if (theirs.kind === 'reject') {
          expect(theirs.rung).toBe('envelope');
          return;
        }
        const modern = theirs.kind === 'modern' && theirs.classification.era === 'modern';
        expect(ours.era).toBe(modern ? 'modern' : 'legacy');
      },
    ),
    { numRuns: 2_000 },
  );
});
