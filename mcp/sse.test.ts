import * as fc from 'fast-check';
import { createParser } from 'eventsource-parser';
import { describe, expect, test } from 'vitest';
import { SseLimitError, SseParser, type SseEvent } from './sse.ts';

const encode = (text: string) => new TextEncoder().encode(text);

function parse(bytes: Uint8Array, cuts: readonly number[] = []): { events: SseEvent[]; parser: SseParser } {
  const parser = new SseParser(10_000);
  const events: SseEvent[] = [];
  let start = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    events.push(...parser.push(bytes.subarray(start, cut)));
    start = cut;
  }
  return { events, parser };
}

describe('an event stream', () => {
  const cases: Record<string, { text: string; events: object[] }> = {
    'ends lines with LF': { text: 'data: a\n\n', events: [{ event: 'message', data: 'a' }] },
    'ends lines with CRLF': { text: 'data: a\r\n\r\n', events: [{ data: 'a' }] },
    'ends lines with CR': { text: 'data: a\r\r', events: [{ data: 'a' }] },
    'may begin with a BOM': { text: '\uFEFFdata: a\n\n', events: [{ data: 'a' }] },
    'has comments': { text: ': hello\n:\ndata: a\n: b\n\n', events: [{ data: 'a' }] },
    'joins lines of data': { text: 'data: a\ndata:\ndata:  b\n\n', events: [{ data: 'a\n\n b' }] },
    'names events': {
      text: 'event: endpoint\ndata: /x\n\ndata: y\n\n',
      events: [
        { event: 'endpoint', data: '/x' },
        { event: 'message', data: 'y' },
      ],
    },
    'keeps the last id': {
      text: 'id: 1\ndata: a\n\ndata: b\n\n',
      events: [
        { data: 'a', id: '1' },
        { data: 'b', id: '1' },
      ],
    },
    'ignores an id with NUL': { text: 'id: 1\u0000\ndata: a\n\n', events: [{ data: 'a', id: undefined }] },
    'has fields without colon': { text: 'data\n\n', events: [{ data: '' }] },
    'ignores unknown fields': { text: 'foo: bar\ndata: a\n\n', events: [{ data: 'a' }] },
    'sends nothing without data': { text: 'event: x\n\nid: 3\n\n', events: [] },
    'drops an event that is cut off': { text: 'data: a\n\ndata: b\n', events: [{ data: 'a' }] },
    'replaces malformed UTF-8': { text: 'data: \uFFFD\n\n', events: [{ data: '\uFFFD' }] },
  };
  test.each(Object.entries(cases))('%s', (_, { text, events }) => {
    expect(parse(encode(text)).events).toMatchObject(events);
  });

  test('says when to reconnect', () => {
    expect(parse(encode('retry: 10\nretry: x\n\n')).parser.retryMs).toBe(10);
  });
});

const line = fc.oneof(
  fc.constantFrom('', '', 'data: ä€😀', 'data', ': c', 'id: 7', 'event: e', 'retry: 5', '\uFEFF', 'data: \uFEFF'),
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replaceAll(/[\r\n]/g, '')),
);
const streams = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 30 })
  .map((lines) => encode(lines.flat().join('')));

test('the cuts between chunks change nothing', () => {
  fc.assert(
    fc.property(streams, fc.array(fc.nat(400), { maxLength: 20 }), (bytes, cuts) => {
      const inside = cuts.map((cut) => Math.min(cut, bytes.length));
      expect(parse(bytes, inside).events).toEqual(parse(bytes).events);
    }),
  );
});

test('an independent parser sees the same events', () => {
  fc.assert(
    fc.property(streams, (bytes) => {
      const theirs: object[] = [];
      const parser = createParser({ onEvent: ({ event, data }) => theirs.push({ event: event ?? 'message', data }) });
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
      // It holds back a CR at the very end, in case an LF follows.
      parser.feed(`${text}:`);
      const ours = parse(bytes).events.map(({ event, data }) => ({ event, data }));
      expect(ours).toEqual(theirs);
    }),
  );
});

describe('limits', () => {
  test('one event may not exceed the maximum, whether in one line or in many', () => {
    expect(() => new SseParser(100).push(encode(`data: ${'x'.repeat(100)}`))).toThrow(SseLimitError);
    expect(() => new SseParser(100).push(encode('data: x\n'.repeat(20)))).toThrow(SseLimitError);
    expect(() => new SseParser(100).push(encode(`: ${'x'.repeat(100)}`))).toThrow(SseLimitError);
  });

  test('comments and short events do not add up', () => {
    const parser = new SseParser(100);
    for (let index = 0; index < 1_000; index++) parser.push(encode(': keep-alive\n\ndata: x\n\n'));
  });

  test('a megabyte that arrives byte by byte takes linear time', () => {
    const parser = new SseParser(2e6);
    const started = performance.now();
    const one = encode('x');
    parser.push(encode('data: '));
    for (let index = 0; index < 1e6; index++) parser.push(one);
    expect(parser.push(encode('\n\n'))[0]?.data).toHaveLength(1e6);
    // With a square of its length it would be hours.
    expect(performance.now() - started).toBeLessThan(50_000);
  });
});
