import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstKeyReader, foldingReader, nulReader } from '../testing/readers.ts';
import { message } from './message.ts';
import { scan } from './scan.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list","arguments":{}}}';

function problem(body: string | Buffer): string | undefined {
  const scanned = scan(Buffer.from(body));
  if (!scanned.ok) return scanned.problem;
  const read = message(scanned.document);
  return read.ok ? undefined : read.problem;
}

describe('a body is refused when readers could disagree about it', () => {
  test.each([
    ['a key twice in the envelope', CALL.replace('"id":1,', '"id":1,"method":"ping",'), 'an object names the same key twice'],
    ['a key twice in the parameters', CALL.replace('"name":"list"', '"name":"list","name":"delete"'), 'an object names the same key twice'],
    ['a key twice in the arguments', CALL.replace('{}', '{"ns":"staging","ns":"prod"}'), 'an object names the same key twice'],
    ['the same key escaped', CALL.replace('"name":"list"', '"name":"list","n\\u0061me":"delete"'), 'an object names the same key twice'],
    ['many keys, the last one again', CALL.replace('{}', manyKeys()), 'an object names the same key twice'],
    ['upper case', CALL.replace('"name":"list"', '"name":"list","Name":"delete"'), 'a key looks like a protocol key but is not'],
    ['upper case alone', CALL.replace('"name":', '"NAME":'), 'a key looks like a protocol key but is not'],
    ['long s for s', CALL.replace('"params":', '"param\u017f":{},"params":'), 'a key looks like a protocol key but is not'],
    ['the Kelvin sign for k', CALL.replace('"name":', '"tas\u212aId":"x","name":'), 'a key looks like a protocol key but is not'],
    ['full width letters', CALL.replace('"method":', '"\uff4dethod":"ping","method":'), 'a key looks like a protocol key but is not'],
    ['a space behind a key', CALL.replace('"name":', '"name ":"delete","name":'), 'a key looks like a protocol key but is not'],
    [
      'an invisible character in a key',
      CALL.replace('"name":', '"na\u200bme":"delete","name":'),
      'a key looks like a protocol key but is not',
    ],
    [
      'case in the reserved keys of _meta',
      CALL.replace('"arguments":{}', '"_meta":{"io.modelcontextprotocol/ProtocolVersion":"2026-07-28"}'),
      'a key looks like a protocol key but is not',
    ],
    ['a NUL behind a key', CALL.replace('"name":', '"name\\u0000":"delete","name":'), 'the body contains a NUL character'],
    ['a NUL in a value', CALL.replace('"list"', '"list\\u0000x"'), 'the body contains a NUL character'],
    ['a lone surrogate', CALL.replace('"list"', '"list\\ud800"'), 'the body contains a lone surrogate'],
    ['a reversed pair of surrogates', CALL.replace('"list"', '"\\udc00\\ud800"'), 'the body contains a lone surrogate'],
    ['a number that overflows', CALL.replace('{}', '{"n":1e400}'), 'the body contains a number that readers disagree about'],
    ['a byte order mark', `\ufeff${CALL}`, 'the body begins with a byte order mark'],
    ['UTF-16', Buffer.from(`\ufeff${CALL}`, 'utf16le'), 'the body begins with a byte order mark'],
    [
      'an overlong encoding',
      Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
      'the body is not valid UTF-8',
    ],
    ['two documents', `${CALL}${CALL}`, 'the body is not valid JSON'],
    ['bytes behind the document', `${CALL} x`, 'the body is not valid JSON'],
    ['a comment', CALL.replace('{"jsonrpc"', '{/**/"jsonrpc"'), 'the body is not valid JSON'],
    ['a trailing comma', CALL.replace('{}', '{"a":1,}'), 'the body is not valid JSON'],
    ['single quotes', "{'jsonrpc':'2.0'}", 'the body is not valid JSON'],
    ['a leading zero', CALL.replace('{}', '{"a":01}'), 'the body is not valid JSON'],
    ['NaN', CALL.replace('{}', '{"a":NaN}'), 'the body is not valid JSON'],
    ['a raw line end in a string', CALL.replace('list', 'li\nst'), 'the body is not valid JSON'],
    ['an unfinished string', '{"jsonrpc":"2.0', 'the body is not valid JSON'],
    ['nothing', '', 'the body is not valid JSON'],
    ['deep nesting', CALL.replace('{}', `${'['.repeat(70)}${']'.repeat(70)}`), 'the body is nested too deeply'],
    ['a batch', `[${CALL}]`, 'JSON-RPC batches are not accepted'],
    ['an id of null', CALL.replace('"id":1', '"id":null'), 'id must be a string or an integer'],
    ['an id beyond 2^53', CALL.replace('"id":1', '"id":9007199254740993'), 'id must be a string or an integer'],
    ['a fraction as id', CALL.replace('"id":1', '"id":1.0'), 'id must be a string or an integer'],
    ['another JSON-RPC', CALL.replace('"2.0"', '"1.0"'), 'jsonrpc must be "2.0"'],
    ['positional parameters', CALL.replace(/"params":.*/, '"params":[1]}'), 'params must be an object'],
    ['a method beside a result', CALL.replace('"id":1', '"id":1,"result":{}'), 'the body is both a request and a response'],
  ])('%s', (_what, body, expected) => {
    expect(problem(body)).toBe(expected);
  });
});

test.each([
  ['as clients send it', CALL],
  ['with white space everywhere', ` \n${CALL.replaceAll(':', ' :\t').replaceAll(',', '\r\n,')} `],
  ['with numbers that JSON.stringify would change', CALL.replace('{}', '{"a":1.0,"b":9007199254740993,"c":-0,"d":1E5}')],
  ['with keys that mean something elsewhere', CALL.replace('{}', '{"Name":1,"__proto__":2,"constructor":3,"method":4}')],
  ['with escapes and astral characters', CALL.replace('{}', '{"a":"\\ud834\\udd1e\\"\\\\\\/\\b\\f\\n\\r\\t","𝄞":"é"}')],
  ['with unknown keys', CALL.replace('"id":1', '"id":1,"vendor":{"x":[]}')],
  ['a notification', '{"jsonrpc":"2.0","method":"notifications/initialized"}'],
  ['a response', '{"jsonrpc":"2.0","id":"x","result":{}}'],
])('a body is accepted %s', (_what, body) => {
  expect(problem(body)).toBeUndefined();
});

/** JSON-RPC like bytes in which every piece may be doubled, folded, escaped or broken. */
const pieces = fc.constantFrom(
  '"name":"list"',
  '"name":"delete"',
  '"Name":"delete"',
  '"n\\u0061me":"x"',
  '"name\\u0000":"x"',
  '"arguments":{"a":1}',
  '"ARGUMENTS":{}',
  '"uri":"file:///x"',
  '"_meta":{}',
  '"nam\u0435":"x"',
  '"arguments":{"a":1,"a":2}',
  '"x":"\\ud800"',
  '"x":1e999',
  '"\u017f":1',
  ' ',
  '',
);
const envelopes = fc.constantFrom(
  '"method":"tools/call"',
  '"method":"tools/list"',
  '"Method":"x"',
  '"id":1',
  '"id":"1"',
  '"id":null',
  '"jsonrpc":"2.0"',
  '"Params":{}',
  '',
);
const bodies = fc
  .tuple(fc.array(envelopes, { maxLength: 4 }), fc.array(pieces, { maxLength: 5 }), fc.constantFrom('', ' ', 'x', '\u0000', '{}'))
  .map(([envelope, params, tail]) => {
    const members = [
      '"jsonrpc":"2.0"',
      '"id":7',
      '"method":"tools/call"',
      ...envelope,
      `"params":{${params.filter((p) => p !== '').join(',')}}`,
    ];
    return `{${members.filter((member) => member !== '').join(',')}}${tail}`;
  });

test('whatever is accepted, four different readers read alike', () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(bodies, fc.json(), fc.string()), (body) => {
      if (problem(body) !== undefined) return;
      accepted += 1;
      const reference = JSON.parse(body) as unknown;
      for (const reader of [firstKeyReader, foldingReader, nulReader]) expect(reader(body)).toEqual(subject(reference));
    }),
    { numRuns: 5_000 },
  );
  expect(accepted).toBeGreaterThan(20);
});

test('no input whatever makes it throw, and it accepts no more than JSON.parse', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        const scanned = scan(Buffer.from(bytes));
        if (scanned.ok) JSON.parse(Buffer.from(bytes).toString('utf8'));
      },
    ),
    { numRuns: 5_000 },
  );
});

/** What a server acts upon. */
function subject(value: unknown): unknown {
  const body = value as Record<string, unknown>;
  const params = (body['params'] ?? {}) as Record<string, unknown>;
  return { method: body['method'], id: body['id'], name: params['name'], uri: params['uri'], arguments: params['arguments'] };
}

function manyKeys(): string {
  const keys = Array.from({ length: 40 }, (_, index) => `"k${index}":1`);
  return `{${keys.join(',')},"k3":2}`;
}
