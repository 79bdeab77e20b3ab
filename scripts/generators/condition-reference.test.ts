import { expect, test } from 'vitest';
import { MCPSERVER } from '../../api/kinds.ts';
import { conditionReference, vocabularies } from './condition-reference.ts';

const SOURCE = `/** Types. */
export const ConditionType = {
  /** It runs. */
  Ready: 'Ready',
} as const;
export type ConditionType = string;

export const ReadyReason = {
  /** True. */
  Ready: 'Ready',
} as const;

/** Others. */
export const StalledReason = {
  Ready: ReadyReason.Ready,
} as const;
`;

test('words have the meaning of their comment, or that of the word they stand for', () => {
  expect(vocabularies(SOURCE)).toEqual([
    { name: 'ConditionType', words: [{ name: 'Ready', meaning: 'It runs.' }] },
    { name: 'ReadyReason', words: [{ name: 'Ready', meaning: 'True.' }] },
    { name: 'StalledReason', words: [{ name: 'Ready', meaning: 'True.' }] },
  ]);
});

test('a word without comment is an error that names it', () => {
  expect(() => vocabularies("export const ReadyReason = {\n  Pending: 'Pending',\n} as const;")).toThrow(
    'ReadyReason.Pending has no comment',
  );
});

test('the reference of a kind has its conditions, reasons and events', () => {
  const text = conditionReference(MCPSERVER).join('\n');
  expect(text).toContain('| `Verified` | The last handshake and tool listing worked. |');
  expect(text).toContain('| `Stalled` | `NameConflict` |');
  expect(text).toContain('| `ToolChanged` | Warning: ');
});
