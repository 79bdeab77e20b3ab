import { describe, expect, it } from 'vitest';
import { help, settings, SettingsError } from './settings.ts';

describe('settings', () => {
  it('have defaults', () => {
    expect(settings([], {})).toMatchObject({
      namespaces: [],
      'grantable-cluster-roles': ['view'],
      'secret-rotation': false,
      'assign-ids': true,
      'leader-elect': false,
      workers: 16,
      'shutdown-grace': 20_000,
    });
  });

  const cases: Record<string, [args: string[], env: Record<string, string>, expected: object]> = {
    'come from flags': [['--namespaces=a, b', '--workers=4'], {}, { namespaces: ['a', 'b'], workers: 4 }],
    'come from the environment': [[], { MCP_FLEET_SECRET_ROTATION: 'true' }, { 'secret-rotation': true }],
    'come from flags first': [['--log-level=debug'], { MCP_FLEET_LOG_LEVEL: 'warn' }, { 'log-level': 'debug' }],
    'take an empty variable for none': [
      [],
      { MCP_FLEET_WORKERS: '', MCP_FLEET_NPM_REGISTRY: '' },
      { workers: 16, 'npm-registry': undefined },
    ],
    'take an empty flag at its word': [
      ['--grantable-cluster-roles=', '--npm-registry='],
      {},
      { 'grantable-cluster-roles': [], 'npm-registry': undefined },
    ],
    'know durations': [['--shutdown-grace=1m30s'], {}, { 'shutdown-grace': 90_000 }],
  };
  for (const [name, [args, env, expected]] of Object.entries(cases)) it(name, () => expect(settings(args, env)).toMatchObject(expected));

  const wrong: Record<string, [args: string[], message: RegExp]> = {
    'a flag that does not exist': [['--frobnicate'], /frobnicate/],
    'a word that is no flag': [['run'], /run/],
    'a number that is none': [['--workers=many'], /--workers must be a number/],
    'a port that is none': [['--health-port=99999'], /--health-port/],
    'a level that does not exist': [['--log-level=loud'], /--log-level must be debug, info, warn or error/],
    'a registry without scheme': [['--npm-registry=npm.example.com'], /--npm-registry/],
    'all mistakes at once': [['--workers=0', '--leader-elect=perhaps'], /--leader-elect must be true or false\n--workers/],
  };
  for (const [name, [args, message]] of Object.entries(wrong)) {
    it(`refuse ${name}`, () => {
      expect(() => settings(args, {})).toThrow(SettingsError);
      expect(() => settings(args, {})).toThrow(message);
    });
  }

  it('explain every flag', () => {
    expect(settings(['--help'], {})).toBe('help');
    expect(settings(['--version'], {})).toBe('version');
    for (const line of help()
      .split('\n')
      .filter((text) => text.startsWith('  --') && !text.includes('--help')))
      expect(line).toMatch(/Default: /);
  });
});
