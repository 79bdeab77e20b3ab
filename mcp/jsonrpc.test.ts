import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MessageError, parseJson, parseMessages, serialize, type Message } from './jsonrpc.ts';

describe('a message', () => {
  const messages: Record<string, { text: string; message: Message }> = {
    'is a request with a number as id': {
      text: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      message: { kind: 'Request', id: 1, method: 'ping' },
    },
    'is a request with a string as id': {
      text: '{"jsonrpc":"2.0","id":"1","method":"a","params":{"b":1}}',
      message: { kind: 'Request', id: '1', method: 'a', params: { b: 1 } },
    },
    'is a notification': { text: '{"jsonrpc":"2.0","method":"a"}', message: { kind: 'Notification', method: 'a' } },
    'is a result': { text: '{"jsonrpc":"2.0","id":0,"result":{}}', message: { kind: 'Result', id: 0, result: {} } },
    'is an error': {
      text: '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no","data":[1]}}',
      message: { kind: 'Error', id: 1, error: { code: -32601, message: 'no', data: [1] } },
    },
    'is an error without id': {
      text: '{"jsonrpc":"2.0","id":null,"error":{"code":1}}',
      message: { kind: 'Error', error: { code: 1, message: '' } },
    },
  };
  test.each(Object.entries(messages))('%s', (_, { text, message }) => {
    expect(parseMessages(text, 64)).toEqual([message]);
    expect(parseMessages(serialize(message), 64)).toEqual([message]);
  });

  const refused: Record<string, { text: string; message: string }> = {
    'of another version': { text: '{"id":1,"method":"a"}', message: 'no "jsonrpc": "2.0"' },
    'that is a number': { text: '1', message: 'no object' },
    'that is nothing': { text: '', message: 'not JSON' },
    'with an id of another type': { text: '{"jsonrpc":"2.0","id":{},"method":"a"}', message: 'neither string nor number' },
    'with null as id': { text: '{"jsonrpc":"2.0","id":null,"method":"a"}', message: 'neither string nor number' },
    'with a result that is no object': { text: '{"jsonrpc":"2.0","id":1,"result":[]}', message: 'result is no object' },
    'with a result without id': { text: '{"jsonrpc":"2.0","result":{}}', message: 'result has no id' },
    'with an error without code': { text: '{"jsonrpc":"2.0","id":1,"error":"no"}', message: 'error has no code' },
    'that says nothing': { text: '{"jsonrpc":"2.0","id":1}', message: 'neither method nor result nor error' },
    'in an empty batch': { text: '[]', message: 'empty batch' },
  };
  test.each(Object.entries(refused))('%s is refused', (_, { text, message }) => {
    expect(() => parseMessages(text, 64)).toThrow(MessageError);
    expect(() => parseMessages(text, 64)).toThrow(message);
  });

  test('may come in a batch', () => {
    expect(parseMessages('[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","method":"b"}]', 64)).toHaveLength(2);
  });
});

test('the depth is that of brackets outside strings', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const depth = depthOf(value);
      const text = JSON.stringify(value);
      expect(parseJson(text, depth)).toEqual(JSON.parse(text));
      if (depth > 0) expect(() => parseJson(text, depth - 1)).toThrow('nested more than');
    }),
  );
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
