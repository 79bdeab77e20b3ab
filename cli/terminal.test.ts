import { styleText } from 'node:util';
import { describe, expect, it } from 'vitest';
import { table } from './table.ts';
import { oneLine, writing } from './terminal.ts';

function surroundings(isTerminal: boolean) {
  const written = { out: '', err: '' };
  const terminal = writing({
    stdout: { write: (text) => (written.out += text) },
    stderr: { write: (text) => (written.err += text) },
    isTerminal,
    paint: (style, text) => styleText(style, text, { validateStream: false }),
  });
  return { terminal, written };
}

const hostile = 'a\u001b]0;owned\u0007\u001b[31mred\u009b2J\u202e';
const harmless = 'a\uFFFD]0;owned\uFFFD\uFFFD[31mred\uFFFD2J\uFFFD';

describe('what a stranger wrote', () => {
  it('controls no terminal by way of results for people, errors or colours of ours', () => {
    for (const isTerminal of [true, false]) {
      const { terminal, written } = surroundings(isTerminal);
      terminal.out(`${hostile}\n\tb`);
      terminal.err(hostile);
      expect(written).toEqual({ out: `${harmless}\n\tb`, err: harmless });
      terminal.out(terminal.style('green', hostile));
      expect(written.out).toBe(`${harmless}\n\tb\u001b[32m${harmless}\u001b[39m`);
    }
  });

  it('is as it is for programs, and not where people read it', () => {
    for (const [isTerminal, text] of [
      [true, harmless],
      [false, hostile],
    ] as const) {
      const { terminal, written } = surroundings(isTerminal);
      terminal.data(`${terminal.style('cyan', 'pod')} ${hostile}`);
      expect(written.out).toBe(`\u001b[36mpod\u001b[39m ${text}`);
    }
  });

  it('stays in its line', () => expect(oneLine('a\r\nb\n\nc\rd')).toBe('a b c d'));
});

it('colours take no room in a table', () => {
  const { terminal, written } = surroundings(true);
  terminal.out(table(['ready', 'name'], [[terminal.style('green', 'True'), 'a']]));
  expect(written.out).toBe('READY   NAME\n\u001b[32mTrue\u001b[39m    a\n');
});
