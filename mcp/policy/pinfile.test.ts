import { describe, expect, it } from 'vitest';
import { PinFileError, readPins, writePins } from './pinfile.ts';

const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;

describe('pins', () => {
  it('come back as they were written', () => {
    const text = writePins([
      { name: 'b', digest: digest('2') },
      { name: '__proto__', digest: digest('1') },
    ]);
    const { tools } = readPins({ 'first.json': text });
    expect(Object.entries(tools)).toEqual([
      ['__proto__', [digest('1')]],
      ['b', [digest('2')]],
    ]);
    expect(readPins({ 'first.json': writePins([]) })).toEqual({ tools: {} });
  });

  it('of several writers count together, each digest once', () => {
    const data = {
      'first.json': `{"a": ["${digest('1')}"]}`,
      'approved.json': `{"a": ["${digest('1')}", "${digest('2')}"], "b": ["${digest('3')}"]}`,
    };
    expect(readPins(data)).toEqual({ tools: { a: [digest('1'), digest('2')], b: [digest('3')] } });
  });

  it.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['no list of digests', `{"a": "${digest('1')}"}`],
    ['a digest of another kind', '{"a": ["md5:1"]}'],
    ['more than four digests of a tool', `{"a": [${['1', '2', '3', '4', '5'].map((each) => `"${digest(each)}"`).join()}]}`],
  ])('are refused: %s', (_, text) => {
    expect(() => readPins({ 'git.json': text })).toThrow(PinFileError);
  });
});
