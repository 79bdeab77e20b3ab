import { expect, test } from 'vitest';
import { apiReference } from './api-reference.ts';

const [{ path, content } = { path: '', content: '' }] = apiReference();
const lines = content.split('\n');

test('the reference is the one in docs', () => {
  expect(path).toBe('docs/api.md');
});

test.each([
  ['a default', '| `drainSeconds` | integer | `30` |'],
  [
    'a required field in bold',
    '| **`image`** | string |  | Image of the server, with a tag or digest. | at most 1024 characters; must be an image reference',
  ],
  ['allowed values', 'one of `StreamableHTTP`, `SSE`, `Stdio`'],
  ['the type of a quantity', '| `limits` | map of integer or string |'],
  ['the key of a list', 'at most 256 entries; one entry per `name`'],
  ['a rule with the field that it speaks of', '- `transport.port`: a remote server has its port in remote.url: remove transport.port'],
])('it shows %s', (_sentence, text) => {
  expect(lines.some((line) => line.includes(text))).toBe(true); // without the whole reference in a failure
});

test('every link leads to a heading', () => {
  const anchors = new Set(lines.filter((line) => line.startsWith('#')).map((line) => anchor(line.replace(/^#+ /, ''))));
  const dead = [...content.matchAll(/\]\(#([^)]+)\)/g)].map(([, target = '']) => target).filter((target) => !anchors.has(target));
  expect(dead).toEqual([]);
});

test('every row of a table has as many cells as its head', () => {
  const cells = (line: string) => line.replaceAll('\\|', '').split('|').length;
  const tables = content
    .trimEnd()
    .split('\n\n')
    .filter((block) => block.startsWith('|'));
  const crooked = tables.flatMap((table) => table.split('\n').filter((line, _index, [head = '']) => cells(line) !== cells(head)));
  expect(crooked).toEqual([]);
});

/** As GitHub makes them. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^-_ a-z0-9]/g, '')
    .replaceAll(' ', '-');
