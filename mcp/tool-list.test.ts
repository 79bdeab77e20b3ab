import { describe, expect, test } from 'vitest';
import { Fault } from './fault.ts';
import { toolInventory } from './inventory.ts';
import { MessageError } from './jsonrpc.ts';
import { listedInventory, parseToolList, toolListName, toolListParts } from './tool-list.ts';

const inventory = toolInventory([
  { name: 'a', title: 'The\nfirst', inputSchema: {}, annotations: { readOnlyHint: true } },
  { name: 'b', inputSchema: {}, annotations: { destructiveHint: false } },
]);

test('a list is read as it was written', () => {
  const [part, ...more] = toolListParts(inventory.tools);
  expect(more).toEqual([]);
  expect(parseToolList(part ?? '')).toEqual([
    { name: 'a', title: 'The first', hints: { readOnly: true }, digest: inventory.tools[0]?.digest },
    { name: 'b', title: undefined, hints: { destructive: false }, digest: inventory.tools[1]?.digest },
  ]);
});

test('an empty list is a list', () => {
  expect(toolListParts([])).toEqual(['[]\n']);
});

test('a list that is too large for one ConfigMap has parts that fit', () => {
  const tools = toolInventory(Array.from({ length: 100 }, (_, index) => ({ name: `tool-${index}-ä`, inputSchema: {} }))).tools;
  const parts = toolListParts(tools, 1_000);
  expect(parts.length).toBeGreaterThan(10);
  expect(Math.max(...parts.map((part) => Buffer.byteLength(part)))).toBeLessThanOrEqual(1_004);
  expect(parts.flatMap((part) => parseToolList(part)).map((tool) => tool.name)).toEqual(tools.map((tool) => tool.name));
});

test('no tool is larger than a part, whatever its name and title are', () => {
  const name = '\u0001'.repeat(1024);
  const tools = toolInventory([{ name, title: '\u{1F600}"'.repeat(100_000), inputSchema: {} }]).tools;
  const [part = '', ...more] = toolListParts(tools);
  expect(more).toEqual([]);
  expect(Buffer.byteLength(part)).toBeLessThan(7 * 1024);
  expect(parseToolList(part)[0]).toMatchObject({ name, title: expect.stringMatching(/…$/) as string });
});

test('a name that is too long fails the listing, with its place', () => {
  const tool = (name: string) => ({ name, inputSchema: {} });
  expect(() => toolInventory([tool('a'), tool(`${'ä'.repeat(512)}b`)])).toThrow(
    new Fault('ProtocolError', 'the name of entry 2 of tools/list has 1025 bytes; the limit is 1024'),
  );
  expect(toolInventory([tool('ä'.repeat(512))]).tools).toHaveLength(1);
});

test('what is kept of an inventory gives the same list', () => {
  const kept = listedInventory(inventory);
  expect(kept.digest).toBe(inventory.digest);
  expect(toolListParts(kept.tools)).toEqual(toolListParts(inventory.tools));
});

test('parts are called after the server', () => {
  expect([0, 1, 2].map((part) => toolListName('github', part))).toEqual(['github-tools', 'github-tools-2', 'github-tools-3']);
});

describe('what is no tool list is refused', () => {
  test.each(['', '{}', '[1]', '[{"name":"a"}]'])('%s', (text) => {
    expect(() => parseToolList(text)).toThrow(MessageError);
  });
});
