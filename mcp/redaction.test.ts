import { describe, expect, test } from 'vitest';
import { withoutCredentials } from './redaction.ts';

const jwt = ['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiJhbGljZSJ9', 'c2lnbmF0dXJl-_'].join('.');

describe('without credentials', () => {
  const cases: Record<string, [text: string, result: string]> = {
    'user and password of a URL': ['postgres://app:hunter2@db:5432/x', 'postgres://[redacted]@db:5432/x'],
    'a password with signs in it': ['redis://:p@ss?#1@cache', 'redis://[redacted]@cache'],
    'a token as the user of a URL': ['https://abc@git.example/a', 'https://[redacted]@git.example/a'],
    'an environment variable': ['GITHUB_API_KEY=abcdef123456 x', 'GITHUB_API_KEY=[redacted] x'],
    'a password in JSON': ['{"password": "hunter2hunter2"}', '{"password": "[redacted]"}'],
    'a bearer token': ['Authorization: Bearer abcdefghijkl', 'Authorization: Bearer [redacted]'],
    'basic credentials': ['Authorization: Basic dXNlcjpwYXNz', 'Authorization: Basic [redacted]'],
    'a token after its word': ['Authorization: token abcdef123456', 'Authorization: token [redacted]'],
    'classic GitHub tokens': [`bad ghp_${'a1B2'.repeat(9)}, gho_${'a1B2'.repeat(9)}`, 'bad [redacted], [redacted]'],
    'a fine-grained GitHub token': [`no github_pat_${'a1_B'.repeat(9)}.`, 'no [redacted].'],
    'an OpenAI key': ['got sk-proj-abcDEF0123456789_-x here', 'got [redacted] here'],
    'Slack tokens': ['xoxb-1234567890-abc xoxp-1234567890-abc xoxa-1234567890', '[redacted] [redacted] [redacted]'],
    'an AWS access key': ['id AKIAIOSFODNN7EXAMPLE.', 'id [redacted].'],
    'a JWT': [`got (${jwt})`, 'got ([redacted])'],
  };
  test.each(Object.entries(cases))('%s', (_, [text, result]) => {
    expect(withoutCredentials(text)).toBe(result);
    expect(withoutCredentials(result)).toBe(result);
  });

  test.each([
    'password required, token missing: see docs',
    'basic authentication is required',
    'http://127.0.0.1:8080/node_modules/@scope/name',
    'mail to a@b.example',
    'secret "task-sk-1" not found',
    'the file eyJ.txt',
  ])('%s: stays', (text) => expect(withoutCredentials(text)).toBe(text));

  test.each(['a-', 'eyJ-', 'eyJa.', 'sk-', '//', '//a:', 'token ', 'key   ', 'basic a', '\t', 'xoxb-', '@'])(
    'a megabyte of %j takes no time to speak of',
    (part) => {
      const started = performance.now();
      withoutCredentials(`//token${part.repeat(Math.ceil(1_000_000 / part.length))}`);
      // With a square of its length it would be hours.
      expect(performance.now() - started).toBeLessThan(30_000);
    },
  );
});
