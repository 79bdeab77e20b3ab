import { describe, expect, test } from 'vitest';
import { bundle, READ_ONLY } from '../testing/bundle.ts';
import { runGuard } from '../testing/running.ts';
import { scriptedServer } from '../testing/scripted.ts';
import { HIDDEN, TOOLS } from './answers.ts';
import { fuzz } from './fuzz.ts';
import { wrongRequest } from './oracle.ts';

test('hostile callers and a hostile server: nothing breaks, nothing unguarded passes, nothing is left behind', async () => {
  const report = await fuzz({ seed: 20_261_128, more: (inputs) => inputs < 2_000 });
  expect(report.violations).toEqual([]);
  expect(report.forwarded).toBeGreaterThan(200);
}, 120_000);

// What fuzzing found.
test.each([
  ['a request without an id', { method: 'POST', body: '{"jsonrpc":"2.0","method":"tools/list"}' }],
  ['a GET', { method: 'GET' }],
])('a list that a lenient server gives to %s is filtered', async (_what, request) => {
  const list = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: TOOLS } });
  const server = await scriptedServer((_seen, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(list), {
    tools: TOOLS,
  });
  const guard = await runGuard({ upstream: server.url, bundle: bundle({ policies: [READ_ONLY] }) });
  const text = await (await fetch(guard.url, { ...request, headers: { 'content-type': 'application/json' } })).text();
  await guard.stop();
  await server.stop();
  expect(text).toContain('"list"');
  expect(text).not.toContain(HIDDEN);
});

describe('the judge of the fuzzer sees', () => {
  const sent = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list"}}';
  const wrong = (body: string, rawHeaders: readonly string[] = [], input = body): string | undefined =>
    wrongRequest(
      { method: 'POST', url: '/mcp', rawHeaders, headers: {}, body: Buffer.from(body) },
      new Map([[1, { bytes: Buffer.from(input), cuts: [], hasty: false, payloads: [] }]]),
    );
  test.each([
    ['nothing wrong', wrong(sent), undefined],
    ['a forbidden call', wrong(sent.replace('list', 'delete')), 'a call of delete'],
    ['other bytes', wrong(sent, [], sent.replace(':1', ': 1')), 'a body that nobody sent'],
    ['two names', wrong(sent.replace('"name"', '"name":"x","name"')), 'a body that readers read differently'],
    [
      'a name in two cases',
      wrong(sent.replace('"name"', '"Name":"x","name"').replace(/("Name":"x"),("name":"list")/, '$2,$1')),
      'a body that readers read differently',
    ],
    ['a credential', wrong(sent, ['Authorization', 'x']), 'the field Authorization'],
    ['an unknown method', wrong(sent.replace('tools/call', 'vendor/run')), 'the method vendor/run'],
    ['an answer to nothing', wrong('{"jsonrpc":"2.0","id":5,"result":{}}'), 'an answer to 5, which was not asked'],
  ])('%s', (_what, seen, expected) => {
    expect(seen).toBe(expected);
  });
});
