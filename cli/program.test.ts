import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { failure } from './commands/call.ts';
import { run } from './program.ts';
import { capture } from './testing/capture.ts';

async function command(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { environment, out, err } = capture({});
  return { code: await run(environment, 'mcp-fleet', '1.2.3', argv), out: out(), err: err() };
}

describe('a command line that makes no sense ends with 2', () => {
  const cases: Record<string, { argv: string[]; message: string }> = {
    'unknown command': { argv: ['tre'], message: 'Did you mean tree?' },
    'missing server': { argv: ['tools'], message: "missing required argument 'server'" },
    'unknown format': { argv: ['status', '-o', 'wide'], message: 'Allowed choices are json, yaml, name' },
    'timeout that is none': { argv: ['call', 'a', 'b', '--timeout', 'soon'], message: 'seconds between 0 and 86400' },
    'number that is none': { argv: ['logs', 'a', '--tail', 'x'], message: 'a whole number is wanted' },
    'a kubeconfig that is not there': { argv: ['status', '--kubeconfig', '/nowhere'], message: 'the kubeconfig cannot be read' },
  };
  test.each(Object.entries(cases))('%s', async (_, { argv, message }) => {
    const { code, err } = await command(...argv);
    expect(err).toContain(message);
    expect(code).toBe(2);
  });
});

test('help and version are no failures', async () => {
  expect(await command('--version')).toEqual({ code: 0, out: '1.2.3\n', err: '' });
  expect(await command('call', '--help')).toMatchObject({ code: 0, out: expect.stringContaining('key:=json for JSON') });
  expect((await command('--help')).out).toContain('completion <shell>');
});

test('shells are given commands, options and their values', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['cli/main.ts', 'complete', '--', 'to'], {
    env: { ...process.env, KUBECONFIG: '/nowhere' },
  });
  expect(stdout).toContain('tools\t');
  const scripts = await Promise.all(
    ['bash', 'zsh', 'fish'].map((shell) => promisify(execFile)(process.execPath, ['cli/main.ts', 'completion', shell])),
  );
  for (const script of scripts) expect(script.stdout).toContain('mcp-fleet');
});

test('audit logs are verified from standard input', async () => {
  const { environment, out, err } = capture({ stdin: '{"audit":{"seq":1,"prev":""}}\n{"audit":{"seq":3,"prev":"sha256:0"}}\n' });
  expect(await run(environment, 'mcp-fleet', '1.2.3', ['audit', 'verify'])).toBe(6);
  expect(out()).toMatch(/^line 2: record 3 follows one that is not here .*\n2 records of 1 guard process\n$/);
  expect(err()).toContain('the chain is broken in 1 place');
});

describe('a call that did not run', () => {
  const server = {} as never;
  test.each([
    { result: { outcome: 'Refused', code: -32602, message: 'Unknown tool', data: undefined, server } as const, code: 6 },
    { result: { outcome: 'InputRequired', requests: [], message: 'asks', server } as const, code: 6 },
    {
      result: { outcome: 'AuthenticationRequired', message: 'no', status: 401, challenge: undefined, server: undefined } as const,
      code: 6,
    },
    { result: { outcome: 'Timeout', message: 'slow', server: undefined } as const, code: 7 },
    { result: { outcome: 'ConnectionRefused', message: 'closed', server: undefined } as const, code: 7 },
  ])('$result.outcome ends with $code', ({ result, code }) => {
    expect(failure('github', 'echo', result)).toMatchObject({ exitCode: code, message: expect.stringContaining(result.message) });
  });
});
