import { describe, expect, it } from 'vitest';
import type { ArgumentTest, Bundle } from './bundle.ts';
import { BundleError, bundleDigest, parseBundle, parseKeys, parseReplicas } from './bundlecheck.ts';
import { bundle, digestOf, issuer, policy, rule } from './testing/builders.ts';

const tests: readonly ArgumentTest[] = [
  { path: '/a', operator: 'Exists' },
  { path: '/a', operator: 'Absent' },
  { path: '/a', operator: 'Equals', value: 'x' },
  { path: '/a', operator: 'Equals', value: 5 },
  { path: '/a', operator: 'NotEquals', value: true },
  { path: '/a', operator: 'Prefix', value: 'x' },
  { path: '/a', operator: 'Glob', value: '/x/**' },
  { path: '/a', operator: 'Matches', value: '^x+$' },
  { path: '/a/*/b', operator: 'In', values: ['x'] },
  { path: '/a', operator: 'NotIn', values: ['x'] },
  { path: '/a', operator: 'SubsetOf', values: ['x'] },
  { path: '/a', operator: 'GreaterThan', min: 1.5 },
  { path: '/a', operator: 'LessThan', max: -1 },
  { path: '/a', operator: 'MaxLength', max: 3 },
  { path: '/a', operator: 'Between', min: 0, max: 1 },
];

/** A bundle with everything in it. */
const full: Bundle = {
  ...bundle(
    [
      policy({
        tier: 'platform',
        access: {
          overrides: [{ tools: ['a'], class: 'Destructive', unless: [{ path: '/a', operator: 'Absent', class: 'ReadOnly' }] }],
        },
        rules: [
          rule({
            subjects: [
              { jwt: { issuer, groups: ['g'], scopes: ['s'] }, tunnel: 'edge' },
              { serviceAccount: { namespace: 'a', name: '*' } },
              { user: 'ci', authenticated: true },
            ],
            tools: ['a'],
            prompts: ['b'],
            arguments: tests,
            notAfter: 5,
            message: 'Why.',
          }),
          rule({ name: 'other', effect: 'Deny', resources: ['file:///**'] }),
        ],
        limits: {
          rate: [{ name: 'r', per: 'Caller', requests: 1, windowMs: 1, burst: 1, tools: ['*'] }],
          concurrency: { perCaller: 1, total: 1, streamsPerCaller: 1 },
          maxRequestBytes: 1,
          maxResponseBytes: 1,
          callTimeoutMs: 1,
        },
        audit: { level: 'Arguments', redact: ['/a/**/b'], onFailure: 'Drop' },
      }),
      { namespace: 'agents', name: 'bad', generation: 1, tier: 'namespace', invalid: 'why' },
    ],
    { pins: { tools: { a: [digestOf('a')] } } },
  ),
  authentication: {
    type: 'Guard',
    anonymous: false,
    serviceAccounts: { issuer, audiences: ['mcp-fleet.dev'] },
    jwt: [{ name: 'corp', issuer, audiences: ['mcp'], groupsClaim: 'groups', requiredScopes: ['s'] }],
    apiKeys: true,
    forward: { type: 'Headers', userHeader: 'X-User', groupsHeader: 'X-Groups' },
  },
  settings: { hosts: ['github.agents.svc'], allowedOrigins: ['https://example.com'] },
};

type Path = readonly (string | number)[];
interface Place {
  readonly path: Path;
  readonly value: unknown;
}

/** Every value in a document with its path. */
function places(value: unknown, path: Path = []): readonly Place[] {
  const below =
    typeof value === 'object' && value !== null ? Object.entries(value).flatMap(([key, member]) => places(member, [...path, key])) : [];
  return [{ path, value }, ...below];
}

/** The document with the value at a path replaced, or removed. */
function changed(document: unknown, [first, ...rest]: Path, value: unknown): unknown {
  if (first === undefined) return value;
  const copy: Record<string, unknown> = Array.isArray(document) ? ([...document] as never) : { ...(document as object) };
  const next = rest.length === 0 ? value : changed(copy[first], rest, value);
  if (next === undefined) delete copy[first];
  else copy[first] = next;
  return copy;
}

const parse = (document: unknown) => parseBundle(JSON.stringify(document));
const all = places(JSON.parse(JSON.stringify(full)));
const shown = ({ path }: Place): string => path.join('.');

describe('a bundle', () => {
  it('with everything in it is taken as it is', () => {
    expect(parse(full)).toEqual(full);
  });

  it('with a field that is not known is refused, wherever the field stands', () => {
    const objects = all.filter(({ value }) => typeof value === 'object' && value !== null && !Array.isArray(value));
    // Tools may have any name.
    const taken = objects.filter(({ path, value }) => {
      try {
        parse(changed(full, path, { ...(value as object), surprise: 1 }));
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(BundleError);
        return false;
      }
    });
    expect(taken.map(shown)).toEqual([]);
  });

  it('with a value of another type is refused, wherever the value stands', () => {
    const wrong = { string: {}, number: {}, boolean: {}, object: 7 };
    const taken = all.filter(({ path, value }) => {
      try {
        parse(changed(full, path, wrong[typeof value as keyof typeof wrong]));
        return true;
      } catch {
        return false;
      }
    });
    expect(taken.map(shown)).toEqual([]);
  });

  it('without a field that is not optional is refused', () => {
    const optional = new Set([
      'pins',
      'pins.tools.a',
      'authentication.serviceAccounts',
      'policy.policies.0.rules.0.subjects',
      'policy.policies.0.rules.0.tools',
      'policy.policies.0.rules.0.prompts',
      'policy.policies.0.rules.0.notAfter',
      'policy.policies.0.rules.0.message',
      'policy.policies.0.rules.1.resources',
      'policy.policies.0.rules.0.subjects.0.jwt',
      'policy.policies.0.rules.0.subjects.0.tunnel',
      'policy.policies.0.rules.0.subjects.2.user',
      'policy.policies.0.rules.0.subjects.2.authenticated',
      'policy.policies.0.limits.rate.0.tools',
      'policy.policies.0.limits.concurrency.perCaller',
      'policy.policies.0.limits.concurrency.total',
      'policy.policies.0.limits.concurrency.streamsPerCaller',
      'policy.policies.0.limits.maxRequestBytes',
      'policy.policies.0.limits.maxResponseBytes',
      'policy.policies.0.limits.callTimeoutMs',
    ]);
    const members = all.filter(({ path }) => path.length > 0 && !/^\d+$/u.test(String(path.at(-1))));
    const taken = members.filter(({ path }) => {
      try {
        parse(changed(full, path, undefined));
        return true;
      } catch {
        return false;
      }
    });
    expect(new Set(taken.map(shown))).toEqual(optional);
  });

  const rules = 'policy.policies.0.rules';
  const refused: readonly [sentence: string, path: string, value: unknown, message: string][] = [
    ['of another version', 'version', 2, 'bundle version 2 is not 1'],
    ['with a negative generation', 'policy.policies.0.generation', -1, 'must be an integer of 0 or more'],
    ['with a class that does not exist', 'policy.policies.0.access.maximumClass', 'Harmless', 'must be one of ReadOnly'],
    ['with an operator that does not exist', `${rules}.0.arguments.0.operator`, 'Like', 'must be one of Exists'],
    ['with an operator named like a member of every object', `${rules}.0.arguments.0.operator`, 'constructor', 'must be one of Exists'],
    ['with an expression that RE2 does not take', `${rules}.0.arguments.7.value`, '(?=x)', 'must be a valid RE2 expression'],
    ['with a path that is no pointer', `${rules}.0.arguments.0.path`, 'a', 'must be a JSON Pointer'],
    ['with an empty subject', `${rules}.0.subjects.1`, {}, 'an empty subject would be everyone'],
    ['with no subject', `${rules}.0.subjects`, [], 'must have 1 or more entries'],
    ['with an empty list of tools', `${rules}.0.tools`, [], 'must have 1 or more entries'],
    ['with two rules of one name', `${rules}.1.name`, 'rule', 'has two entries named rule'],
    ['with a pin that is no digest', 'pins.tools.a.0', 'sha256:abc', 'must be a SHA-256 digest'],
    ['with a rate of nothing', 'policy.policies.0.limits.rate.0.requests', 0, 'must be an integer of 1 or more'],
  ];
  it.each(refused)('%s is refused', (_, path, value, message) => {
    expect(() => parse(changed(full, path.split('.'), value))).toThrow(message);
    expect(() => parse(changed(full, path.split('.'), value))).toThrow(BundleError);
  });

  it.each(['', '{', 'null', '[]', '"x"', '{}'])('that is %j is refused', (text) => {
    expect(() => parseBundle(text)).toThrow(BundleError);
  });

  it('is known by the digest of its very bytes', () => {
    expect(bundleDigest('{}')).toBe('sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
  });
});

describe('the files beside it', () => {
  it('hold keys per issuer', () => {
    const keys = { issuers: { [issuer]: { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'AA' }] } } };
    expect(parseKeys(JSON.stringify(keys))).toEqual(keys);
    expect(() => parseKeys('{"issuers": {"a": []}}')).toThrow(BundleError);
    expect(() => parseKeys('{"issuers": {"a": {"keys": {}}}}')).toThrow(BundleError);
  });

  it('hold the number of replicas', () => {
    expect(parseReplicas('3')).toBe(3);
    for (const text of ['0', '1.5', '"3"', 'null', '']) expect(() => parseReplicas(text)).toThrow(BundleError);
  });
});
