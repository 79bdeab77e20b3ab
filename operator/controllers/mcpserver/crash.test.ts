import { describe, expect, it } from 'vitest';
import { crashHint, type Crash, type Expectation } from './crash.ts';

const expected: Expectation = {
  port: 8080,
  env: ['LOG_LEVEL', 'API_KEY'],
  memoryLimit: '512Mi',
  readOnlyRootFilesystem: true,
  unstartedSeconds: [58, 160],
  mounts: new Map(),
};
const crash = (changes: Partial<Crash>): Crash => ({ exitCode: 1, reason: 'Error', log: '', neverListened: false, ...changes });

describe('crashHint', () => {
  const cases: Record<string, [crash: Crash, hint: RegExp | undefined, expected?: Partial<Expectation>]> = {
    'knows nothing about silence': [crash({}), undefined],
    'out of memory': [crash({ exitCode: 137, reason: 'OOMKilled' }), /limit of 512Mi/],
    'a read-only file system in Node': [crash({ log: "Error: EROFS: read-only file system, mkdir '/app/cache'" }), /read-only/],
    'a read-only file system in Python': [crash({ log: "OSError: [Errno 30] Read-only file system: '/data.db'" }), /read-only/],
    'a writable file system that is not blamed': [crash({ log: 'EROFS' }), undefined, { readOnlyRootFilesystem: false }],
    'a variable that is required': [crash({ log: 'Error: GITHUB_PERSONAL_ACCESS_TOKEN not set' }), /variable GITHUB_PERSONAL_ACCESS_TOKEN/],
    'a variable after the word': [crash({ log: 'missing required environment variable SLACK_BOT_TOKEN' }), /variable SLACK_BOT_TOKEN/],
    'a variable in a Python KeyError is not guessed': [crash({ log: "KeyError: 'NOTION'" }), undefined],
    'a variable that is given': [crash({ log: 'API_KEY must be set to a valid key' }), undefined],
    'an error code that looks like a variable': [crash({ log: "Cannot find module, code: 'MODULE_NOT_FOUND' required" }), undefined],
    'another port': [
      crash({ exitCode: 137, log: 'Server listening on http://0.0.0.0:3000/mcp', neverListened: true }),
      /port 3000, but transport.port is 8080/,
    ],
    'another port in words': [crash({ log: 'MCP server running on port 3001', neverListened: true }), /port 3001/],
    'the same port': [crash({ log: 'listening on :8080' }), undefined],
    'nothing listened': [crash({ exitCode: 143, neverListened: true }), /nothing listened on port 8080/],
    'a privileged port': [crash({ log: 'listen EACCES: permission denied 0.0.0.0' }), /port 80 needs privileges/, { port: 80 }],
    'a permission': [crash({ log: "EACCES: permission denied, open '/root/.config'" }), /user 65532/],
    'an end without error': [crash({ exitCode: 0, reason: 'Completed' }), /Stdio/],
  };
  for (const [name, [observed, hint, changes]] of Object.entries(cases)) {
    it(name, () => {
      const text = crashHint(observed, { ...expected, ...changes });
      if (hint === undefined) expect(text).toBeUndefined();
      else expect(text).toMatch(hint);
    });
  }
});
