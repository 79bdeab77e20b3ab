import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Kind } from '../../api/schema/crd.ts';

/** A const object of a source file, with the comments that explain its members. */
interface Vocabulary {
  readonly name: string;
  readonly words: readonly Word[];
}

interface Word {
  readonly name: string;
  readonly meaning: string;
}

/** Where conditions, reasons and events of a kind are written down. */
const SOURCES: Readonly<Record<string, { readonly conditions: string; readonly events?: string }>> = {
  MCPServer: { conditions: 'conditions.ts', events: 'events.ts' },
  MCPToolPolicy: { conditions: 'policyconditions.ts' },
};

/** Tables of conditions, reasons and events, from the comments in `api/`: what programs compare with is explained where it is defined. */
export function conditionReference({ kind }: Kind): string[] {
  const source = SOURCES[kind];
  if (source === undefined) return [];
  const [types, ...reasons] = vocabularies(read(source.conditions));
  if (types === undefined) return [];
  const events = source.events === undefined ? [] : vocabularies(read(source.events));
  return [
    `### ${kind}: conditions`,
    table(
      ['Condition', 'True when'],
      types.words.map(({ name, meaning }) => [name, meaning]),
    ),
    `### ${kind}: reasons`,
    'A reason stands for `False` or `Unknown`, unless it says `True`. `Reconciling` and `Stalled` are there only while they are True. `Ready` has, when it is not True, the reason and message of the first condition that is not.',
    table(
      ['Condition', 'Reason', 'Meaning'],
      reasons.flatMap((list) => list.words.map(({ name, meaning }) => [conditionOf(list, types), name, meaning])),
    ),
    ...events.flatMap((list) => [
      `### ${kind}: events`,
      table(
        ['Reason', 'Type and meaning'],
        list.words.map(({ name, meaning }) => [name, meaning]),
      ),
    ]),
  ];
}

/** `AvailableReason` belongs to `Available`; `PolicyAcceptedReason` to `Accepted` of a kind that has no `PolicyAccepted`. */
function conditionOf({ name }: Vocabulary, types: Vocabulary): string {
  const condition = name.replace(/Reason$/, '');
  return types.words.some((word) => word.name === condition) ? condition : condition.replace(/^Policy/, '');
}

const BLOCK = /^export const (?<name>\w+) = \{\n(?<body>.*?)\n\} as const;/gms;
const MEMBER = /^ {2}(?:\/\*\* (?<meaning>.*?) \*\/\n {2})?(?<name>\w+): (?:'\w+'|(?<other>\w+)\.\w+),$/gm;

/** The const objects of a source file. Throws an Error that names a member that nobody has explained. */
export function vocabularies(source: string): Vocabulary[] {
  const found: Vocabulary[] = [];
  for (const { groups = {} } of source.matchAll(BLOCK)) {
    const { name = '', body = '' } = groups;
    const words = [...body.matchAll(MEMBER)].map(({ groups: member = {} }) => {
      const word = member['name'] ?? '';
      const elsewhere = found.find((list) => list.name === member['other'])?.words.find((other) => other.name === word);
      const meaning = member['meaning'] ?? elsewhere?.meaning;
      if (meaning === undefined) throw new Error(`${name}.${word} has no comment that explains it`);
      return { name: word, meaning };
    });
    found.push({ name, words });
  }
  return found;
}

const read = (file: string): string => readFileSync(resolve(import.meta.dirname, '../../api', file), 'utf8');

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = rows.map((row) => row.map((cell, at) => (at === columns.length - 1 ? cell : `\`${cell}\``)).join(' | '));
  return [columns.join(' | '), columns.map(() => '---').join(' | '), ...lines].map((line) => `| ${line} |`).join('\n');
}
