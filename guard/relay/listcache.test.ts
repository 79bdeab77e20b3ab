import { expect, test } from 'vitest';
import { compile } from '../../mcp/policy/engine.ts';
import type { Enforcement } from '../enforcement.ts';
import { bundle, policy } from '../testing/bundle.ts';
import { ListCache } from './listcache.ts';

function enforcement(notAfter?: number): Enforcement {
  const rule = { name: 'r', effect: 'Allow', arguments: [], ...(notAfter === undefined ? {} : { notAfter }) } as const;
  const rules = bundle({ policies: [policy({ rules: [rule] })] });
  return { bundle: rules, engine: compile(rules, { now: () => 0 }), digest: '', transparent: false, replicas: 1 } as unknown as Enforcement;
}

const caller = { type: 'anonymous' } as const;
const TEXT = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}';
const filtered = { text: '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}', visible: 1, hidden: 1, stale: false };

test('the same text is found again under another id, with that id', () => {
  const cache = new ListCache(() => 0);
  const rules = enforcement();
  cache.remember('tools', caller, rules, TEXT, filtered);
  const found = cache.find('tools', caller, rules, '"abc"', TEXT.replace('"id":1', '"id":"abc"'));
  expect(found).toEqual({ ...filtered, text: filtered.text.replace('"id":1', '"id":"abc"') });
});

test.each<[string, (cache: ListCache, rules: Enforcement) => unknown]>([
  ['another text', (cache, rules) => cache.find('tools', caller, rules, '1', TEXT.replace('"b"', '"c"'))],
  ['a longer text', (cache, rules) => cache.find('tools', caller, rules, '1', `${TEXT} `)],
  ['another id than the caller’s', (cache, rules) => cache.find('tools', caller, rules, '2', TEXT)],
  ['another list', (cache, rules) => cache.find('prompts', caller, rules, '1', TEXT)],
  ['another caller', (cache, rules) => cache.find('tools', { type: 'apiKey', user: 'x' }, rules, '1', TEXT)],
  ['other things in force', (cache) => cache.find('tools', caller, enforcement(), '1', TEXT)],
])('%s is not found', (_what, find) => {
  const cache = new ListCache(() => 0);
  const rules = enforcement();
  cache.remember('tools', caller, rules, TEXT, filtered);
  expect(find(cache, rules)).toBeUndefined();
});

test('nothing is found once a rule has ended', () => {
  let now = 0;
  const cache = new ListCache(() => now);
  const rules = enforcement(1_000);
  cache.remember('tools', caller, rules, TEXT, filtered);
  now = 999;
  expect(cache.find('tools', caller, rules, '1', TEXT)).toBeDefined();
  now = 1_000;
  expect(cache.find('tools', caller, rules, '1', TEXT)).toBeUndefined();
});

test('only so many are kept', () => {
  const cache = new ListCache(() => 0);
  const rules = enforcement();
  cache.remember('tools', caller, rules, TEXT, filtered);
  for (let index = 0; index < 64; index += 1) cache.remember('tools', { type: 'apiKey', user: `${index}` }, rules, TEXT, filtered);
  expect(cache.find('tools', caller, rules, '1', TEXT)).toBeUndefined();
});
