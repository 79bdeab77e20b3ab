import { describe, expect, it } from 'vitest';
import { inventoryDigest } from '../../../mcp/digest.ts';
import type { Inventory, Tool } from '../../../mcp/inventory.ts';
import { server } from './builders.ts';
import { isToolList, listedTools, toolChanges, toolLists, toolsStatus } from './tools.ts';

const tool = (name: string, digest = `sha256:${name}`, readOnly?: boolean): Tool => ({
  name,
  title: undefined,
  description: undefined,
  hints: { readOnly, destructive: undefined, idempotent: undefined, openWorld: undefined },
  digest,
  definition: { name },
});
const inventory = (...tools: readonly Tool[]): Inventory => ({ tools, digest: inventoryDigest(tools), duplicates: [], warnings: [] });

describe('the inventory', () => {
  it('is read back from its ConfigMaps as it was written', () => {
    const tools = Array.from({ length: 9000 }, (_, index) => tool(`tool-${index}`, `sha256:${'0'.repeat(64)}`));
    const lists = toolLists(server(), inventory(...tools));
    expect(lists.map(({ metadata }) => metadata.name)).toEqual(['github-tools', 'github-tools-2']);
    const read = listedTools(server(), (name) => lists.find(({ metadata }) => metadata.name === name));
    expect(read?.map(({ name }) => name)).toEqual(tools.map(({ name }) => name));
    expect(inventoryDigest(read ?? [])).toBe(inventory(...tools).digest);
  });

  it('is unknown where nothing is, or where it is damaged', () => {
    expect(listedTools(server(), () => undefined)).toBeUndefined();
    const [list] = toolLists(server(), inventory(tool('a')));
    if (list === undefined) throw new Error('no list');
    expect(
      listedTools(server(), (name) => (name === 'github-tools' ? { ...list, data: { 'tools.json': '{' } } : undefined)),
    ).toBeUndefined();
  });

  it('is summarised in status, names as they may be printed', () => {
    expect(toolsStatus(server(), inventory(tool('a', 'd', true), tool('b\u001b[31m')))).toEqual({
      total: 2,
      readOnly: 1,
      destructive: 1,
      unannotated: 1,
      digest: expect.stringMatching(/^sha256:/),
      names: ['a', 'b\uFFFD[31m'],
      inventory: 'github-tools',
    });
    expect(toolsStatus(server(), inventory(...Array.from({ length: 80 }, (_, index) => tool(`t${index}`)))).names?.length).toBe(50);
  });

  const lists: Record<string, boolean> = {
    'github-tools': true,
    'github-tools-2': true,
    'github-tools-x': false,
    'github-policy': false,
    'github2-tools': false,
  };
  for (const [name, is] of Object.entries(lists))
    it(`${is ? 'has' : 'has not'} a part ${name}`, () => expect(isToolList('github', name)).toBe(is));
});

describe('changes of tools', () => {
  const before = [tool('same'), tool('other', 'sha256:1'), tool('gone')];
  const after = [tool('same'), tool('other', 'sha256:2'), tool('new')];

  it('are told with their digests', () => {
    expect(toolChanges(before, after)).toEqual([
      { change: 'ToolChanged', note: 'Tool other changed from sha256:1 to sha256:2' },
      { change: 'ToolRemoved', note: 'Tool gone is gone (it was sha256:gone)' },
      { change: 'ToolAdded', note: 'Tool new is new (sha256:new)' },
    ]);
  });

  it('are none for another order', () => expect(toolChanges(before, before.toReversed())).toEqual([]));

  it('are summed up when there are many', () => {
    const many = toolChanges(
      [],
      Array.from({ length: 500 }, (_, index) => tool(`t${index}`)),
    );
    expect(many.length).toBe(21);
    expect(many.at(-1)).toEqual({ change: 'ToolAdded', note: '480 more tools are new' });
  });
});
