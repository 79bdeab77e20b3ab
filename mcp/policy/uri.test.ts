import { describe, expect, it } from 'vitest';
import { isNormalUri, templateAlwaysMatches, templateCanMatch } from './uri.ts';

describe('a URI in normal form', () => {
  it.each([
    'file:///srv/a.txt',
    'file:///',
    'https://example.com/',
    'https://example.com:8443/a/b?x=1&y=%2B',
    'k8s://secrets/prod/db',
    'note:a:b',
    'urn:isbn:0451450523',
    'ui://widget/main.html',
    'file:///srv/%C3%BC',
    'db://h/t?limit=10',
    'http://[::1]:8080/x',
    'config://app',
    'a:/x/',
  ])('%s', (uri) => {
    expect(isNormalUri(uri)).toBe(true);
  });

  const refused: readonly [reason: string, uri: string][] = [
    ['has dot segments', 'file:///srv/../etc/passwd'],
    ['has a single dot', 'file:///srv/./a'],
    ['ends in dots', 'file:///srv/..'],
    ['has escaped dots', 'file:///srv/%2E%2E/etc'],
    ['has escaped dots in lower case', 'file:///srv/%2e%2e/etc'],
    ['has an escaped slash', 'file:///srv/..%2Fetc'],
    ['has an escaped backslash', 'file:///srv/..%5Cetc'],
    ['has an escape that needs none', 'file:///srv/%41'],
    ['has an escape in lower case', 'file:///srv/%c3%bc'],
    ['has an escaped NUL', 'file:///srv/a%00.txt'],
    ['has half an escape', 'file:///srv/%4'],
    ['has an empty segment', 'file:///srv//secret'],
    ['has four slashes', 'file:////etc'],
    ['has a backslash', 'file:///srv\\secret'],
    ['has a space', 'file:///srv/a b'],
    ['is not ASCII', 'file:///srv/ü'],
    ['has a fragment', 'file:///srv/secret#x'],
    ['has a query where files have none', 'file:///srv/secret?x'],
    ['has an empty query', 'https://example.com/a?'],
    ['has a scheme in upper case', 'FILE:///srv/a'],
    ['has a host in upper case', 'https://Example.com/'],
    ['has a host in upper case under its own scheme', 'k8s://Secrets/a'],
    ['has a default port', 'https://example.com:443/'],
    ['has an empty port', 'https://example.com:/'],
    ['has a host with a final dot', 'https://example.com./'],
    ['has no path where one is implied', 'https://example.com'],
    ['names localhost as the host of a file', 'file://localhost/etc'],
    ['has a file path without a host part', 'file:/etc'],
    ['has no scheme', '/etc/passwd'],
    ['is empty', ''],
    ['has a scheme named like a member of every object', 'constructor:'.concat('//A')],
    ['is too long', `file:///${'a'.repeat(9000)}`],
  ];
  it.each(refused)('is none that %s: %s', (_, uri) => {
    expect(isNormalUri(uri)).toBe(false);
  });
});

describe('a URI template', () => {
  it.each([
    ['file:///{+path}', 'file:///srv/**', true, false],
    ['file:///srv/{name}', 'file:///srv/**', true, true],
    ['file:///etc/{name}', 'file:///srv/**', false, false],
    ['file:///srv/{a}/x', 'file:///srv/*/x', true, false],
    ['file:///srv/{a}/y', 'file:///srv/*/x', false, false],
    ['{scheme}://x', '**', true, true],
    ['note:{id}', 'note:**', true, true],
    ['note:one', 'note:one', true, true],
    ['note:{id}', 'note:one', true, false],
  ] as const)('%s against %s: can match %s, always matches %s', (template, glob, can, always) => {
    expect([templateCanMatch(glob, template), templateAlwaysMatches(glob, template)]).toEqual([can, always]);
  });
});
