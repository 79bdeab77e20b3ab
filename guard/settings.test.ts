import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FLAGS, settings, SettingsError } from './settings.ts';

const required = ['--upstream', 'http://127.0.0.1:8080/mcp', '--bundle', 'bundle.json'];

test('a server is called by the name that it knows itself by', () => {
  expect(settings(required, {}).upstream).toMatchObject({ transport: 'StreamableHTTP', host: 'localhost:8080' });
  const https = settings(['--upstream', 'https://mcp.example.com/mcp', '--bundle', 'x'], {});
  expect(https.upstream).toMatchObject({ host: 'mcp.example.com' });
});

test('a flag goes before its variable, a variable before the default', () => {
  const environment = { MCP_FLEET_GUARD_DRAIN_SECONDS: '7', MCP_FLEET_GUARD_DATA_PORT: '1' };
  expect(settings([...required, '--data-port', '2'], environment)).toMatchObject({ drain: 7_000, dataPort: 2, adminPort: 15090 });
});

test('a stdio server is reached by its socket', () => {
  const read = settings(['--upstream', 'unix:/run/s.sock', '--transport', 'Stdio', '--processes', 'PerSession', '--bundle', 'x'], {});
  expect(read.upstream).toEqual({ transport: 'Stdio', socket: '/run/s.sock', processes: 'PerSession', maxProcesses: 32 });
});

test.each([
  [['--bundle', 'x'], '--upstream is required'],
  [['--upstream', 'ftp://x', '--bundle', 'x'], 'must begin with http'],
  [['--upstream', 'http://x', '--transport', 'Stdio', '--bundle', 'x'], 'must be unix:'],
  [['--upstream', 'http://x', '--transport', 'Pigeon', '--bundle', 'x'], '--transport must be'],
  [[...required, '--data-port', 'many'], '--data-port must be a number'],
  [[...required, '--path', 'mcp'], '--path must begin with a slash'],
])('%j is refused', (args, sentence) => {
  const read = (): unknown => settings(args, {});
  expect(read).toThrow(SettingsError);
  expect(read).toThrow(sentence);
});

test('the documentation lists every flag as it is', () => {
  const page = readFileSync(new URL('../docs/guard-process.md', import.meta.url), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `--'));
  const expected = FLAGS.map((flag) => `| \`--${flag.name}\` | ${flag.default === '' ? '' : `\`${flag.default}\``} | ${flag.help} |`);
  expect(rows).toEqual(expected);
});
