import { describe, expect, it } from 'vitest';
import { MCPServerSpec, type MCPServer, type MCPServerSpecInput } from '../api/mcpserver.ts';
import { MCPToolPolicySpec, type MCPToolPolicy, type MCPToolPolicySpecInput } from '../api/mcptoolpolicy.ts';
import { API_VERSION } from '../api/group.ts';
import { ACCEPTED_POLICIES, MINIMAL } from '../api/mcptoolpolicy.admission.ts';
import { parseBundle, parseKeys, parseReplicas, bundleDigest } from '../mcp/policy/bundlecheck.ts';
import { compile } from '../mcp/policy/engine.ts';
import { digestOf, facts } from '../mcp/policy/testing/builders.ts';
import { type BundleInput, compileBundle } from './bundle.ts';

function server(spec: Partial<MCPServerSpecInput> = {}, labels: Record<string, string> = { team: 'a' }): MCPServer {
  return {
    apiVersion: API_VERSION,
    kind: 'MCPServer',
    metadata: { namespace: 'agents', name: 'github', uid: 'u1', generation: 3, labels },
    spec: MCPServerSpec.parse({ container: { image: 'a:1' }, ...spec }) as MCPServer['spec'],
  };
}

/** As the API server stores it: defaults are filled in. */
function policy(spec: Partial<MCPToolPolicySpecInput>, metadata: Partial<MCPToolPolicy['metadata']> = {}): MCPToolPolicy {
  const wanted = { ...('targetRefs' in spec ? {} : { selector: {} }), defaultAction: 'Deny', ...spec };
  return {
    apiVersion: API_VERSION,
    kind: 'MCPToolPolicy',
    metadata: { namespace: 'agents', name: 'policy', generation: 1, ...metadata },
    spec: MCPToolPolicySpec.parse(wanted) as MCPToolPolicy['spec'],
  };
}

const input = (part: Partial<BundleInput> = {}): BundleInput => ({
  server: server(),
  policies: [],
  operatorNamespace: 'mcp-fleet-system',
  clusterDomain: 'cluster.local',
  clusterIssuer: 'https://kubernetes.default.svc',
  ambient: 'Allow',
  pins: undefined,
  keys: { issuers: {} },
  replicas: 1,
  previous: undefined,
  known: {},
  now: Date.parse('2026-06-01T00:00:00Z'),
  ...part,
});

const hint = (readOnly?: boolean, destructive?: boolean) => facts({ readOnly, destructive }).hints;
const jwt = { name: 'corp', issuer: 'https://idp.example.com', audiences: ['mcp'] };

describe('a bundle', () => {
  it.each(Object.entries(ACCEPTED_POLICIES))('can be made of every policy that the API server takes: %s', (_, spec) => {
    const { namespaces, ...own }: Partial<MCPToolPolicySpecInput> = { ...MINIMAL, ...spec };
    const platform = policy({ ...own, namespaces: namespaces ?? { matchNames: ['*'] } }, { namespace: 'mcp-fleet-system' });
    const { invalid, files } = compileBundle(input({ policies: [policy(own), platform] }));
    expect(invalid).toEqual([]);
    expect(() => parseBundle(files['bundle.json'] ?? '')).not.toThrow();
  });

  it('is what its file says, and its digest is that of the file', () => {
    const { bundle, files, digest } = compileBundle(
      input({
        policies: [policy({})],
        pins: { tools: { b: [digestOf('b'), digestOf('a')], a: [] } },
        keys: { issuers: { x: { keys: [{ kty: 'OKP' }] } } },
        replicas: 3,
      }),
    );
    expect(parseBundle(files['bundle.json'] ?? '')).toEqual(bundle);
    expect(digest).toBe(bundleDigest(files['bundle.json'] ?? ''));
    expect(parseKeys(files['keys.json'] ?? '')).toEqual({ issuers: { x: { keys: [{ kty: 'OKP' }] } } });
    expect(parseReplicas(files['replicas.json'] ?? '')).toBe(3);
    expect(bundle.pins).toEqual({ tools: { a: [], b: [digestOf('a'), digestOf('b')] } });
  });

  it('has the same bytes whatever the order of policies and pins, and whatever the time', () => {
    const [a, b] = [policy({}, { name: 'a' }), policy({}, { name: 'b' })];
    const first = compileBundle(input({ policies: [a, b], pins: { tools: { x: [digestOf('a'), digestOf('b')], y: [] } } }));
    const second = compileBundle(input({ policies: [b, a], pins: { tools: { y: [], x: [digestOf('b'), digestOf('a')] } }, now: 1 }));
    expect(second.files).toEqual(first.files);
  });

  it('has another digest for other policies, pins and settings, but not for other keys and replicas', () => {
    const { digest } = compileBundle(input());
    const of = (part: Partial<BundleInput>) => compileBundle(input(part)).digest;
    expect(of({ keys: { issuers: { a: { keys: [] } } }, replicas: 9 })).toBe(digest);
    expect([
      of({ policies: [policy({})] }),
      of({ pins: { tools: {} } }),
      of({ ambient: 'Deny' }),
      of({ clusterDomain: 'c' }),
    ]).not.toContain(digest);
  });

  it('holds the policies of both tiers, and none that does not select the server', () => {
    const { bundle, policies } = compileBundle(
      input({
        policies: [
          policy({}, { name: 'z' }),
          policy({ selector: { matchLabels: { team: 'b' } } }, { name: 'other-team' }),
          policy({}, { namespace: 'other' }),
          policy({ namespaces: { matchNames: ['ag*'] } }, { namespace: 'mcp-fleet-system', name: 'platform', generation: 4 }),
          policy({ namespaces: { matchNames: ['x'] } }, { namespace: 'mcp-fleet-system', name: 'elsewhere' }),
          policy({ targetRefs: [{ name: 'github' }] }, { name: 'by-name' }),
        ],
      }),
    );
    expect(policies).toEqual([
      { namespace: 'agents', name: 'by-name', generation: 1, tier: 'namespace' },
      { namespace: 'agents', name: 'z', generation: 1, tier: 'namespace' },
      { namespace: 'mcp-fleet-system', name: 'platform', generation: 4, tier: 'platform' },
    ]);
    expect(bundle.policy.policies).toMatchObject(policies);
  });

  it('has milliseconds, bytes and defaults instead of what people write', () => {
    const spec: Partial<MCPToolPolicySpecInput> = {
      rules: [
        {
          name: 'r',
          effect: 'Allow',
          subjects: [{ jwt: { issuer: 'https://i' } }],
          tools: ['a'],
          notAfter: '2026-12-31T00:00:00+01:00',
          arguments: [
            { path: '/n', operator: 'Equals', number: 0 },
            { path: '/b', operator: 'NotEquals', boolean: false },
            { path: '/t', operator: 'Equals', value: '' },
          ],
        },
      ],
      limits: {
        rate: [{ name: 'l', per: 'Caller', requests: 7, window: '1m30s' }],
        maxRequestBytes: '1Mi',
        maxResponseBytes: 5,
        callTimeout: '10m',
      },
    };
    expect(compileBundle(input({ policies: [policy(spec)] })).bundle.policy.policies[0]).toMatchObject({
      rules: [
        {
          subjects: [{ jwt: { issuer: 'https://i', groups: [], scopes: [] } }],
          notAfter: Date.parse('2026-12-30T23:00:00Z'),
          arguments: [
            { path: '/n', operator: 'Equals', value: 0 },
            { path: '/b', operator: 'NotEquals', value: false },
            { path: '/t', operator: 'Equals', value: '' },
          ],
        },
      ],
      limits: {
        rate: [{ requests: 7, windowMs: 90_000, burst: 7 }],
        maxRequestBytes: 1_048_576,
        maxResponseBytes: 5,
        callTimeoutMs: 600_000,
      },
      audit: { level: 'Metadata', redact: [], onFailure: 'Block' },
    });
  });

  it('names the hosts of the Service and of expose', () => {
    const exposed = server({
      expose: {
        allowedOrigins: ['https://app.example.com'],
        httpRoute: { parentRefs: [{ name: 'g' }], hostnames: ['a.example.com'] },
        ingress: { host: 'b.example.com' },
      },
    });
    expect(compileBundle(input({ server: exposed })).bundle.settings).toEqual({
      hosts: ['github', 'github.agents', 'github.agents.svc', 'github.agents.svc.cluster.local', 'a.example.com', 'b.example.com'],
      allowedOrigins: ['https://app.example.com'],
    });
  });

  it('says how callers are checked', () => {
    const authentication = {
      type: 'Guard',
      serviceAccounts: {},
      jwt: [{ ...jwt, requiredScopes: ['s'] }],
      apiKeys: { secretName: 'k' },
      forward: 'Headers',
      forwardHeaders: { user: 'X-User' },
    } as const;
    const checked = server({ authentication });
    expect(compileBundle(input({ server: checked })).bundle.authentication).toEqual({
      type: 'Guard',
      anonymous: false,
      serviceAccounts: { issuer: 'https://kubernetes.default.svc', audiences: ['mcp-fleet.dev'] },
      jwt: [{ ...jwt, groupsClaim: 'groups', requiredScopes: ['s'] }],
      apiKeys: true,
      forward: { type: 'Headers', userHeader: 'X-User', groupsHeader: 'X-Forwarded-Groups' },
    });
    expect(compileBundle(input({ server: checked, clusterIssuer: undefined })).bundle.authentication).not.toHaveProperty('serviceAccounts');
    expect(compileBundle(input()).bundle.authentication).toEqual({
      type: 'None',
      anonymous: false,
      jwt: [],
      apiKeys: false,
      forward: { type: 'None' },
    });
  });

  it('decides as the policy says', () => {
    const readOnly = policy({ selector: {}, defaultAction: 'Allow', access: { maximumClass: 'ReadOnly' } });
    const pins = { tools: { get: [digestOf('a')], drop: [digestOf('a')] } };
    const engine = compile(compileBundle(input({ policies: [readOnly], pins })).bundle, { now: () => 0 });
    const call = (name: string, readOnlyHint: boolean) =>
      engine.decide({
        caller: { type: 'anonymous' },
        method: 'tools/call',
        object: { type: 'tool', name, facts: facts({ readOnly: readOnlyHint }) },
      }).code;
    expect([call('get', true), call('drop', false)]).toEqual(['ALLOWED', 'CLASS']);
  });
});

describe('a bundle that does not fit into a ConfigMap', () => {
  const SYSTEM = { namespace: 'mcp-fleet-system', name: 'platform' };
  const resources = Array.from({ length: 60 }, (_, number) => `file:///${number}/${'x'.repeat(980)}`);
  const long = (count: number, name = 'long') =>
    policy({ rules: Array.from({ length: count }, (_, index) => ({ name: `r${index}`, effect: 'Allow' as const, resources })) }, { name });
  const platform = (generation = 1) => policy({ namespaces: { matchNames: ['*'] }, defaultAction: 'Allow' }, { ...SYSTEM, generation });
  const names = (of: ReturnType<typeof compileBundle>) => of.policies.map(({ name, generation }) => `${name}.${generation}`);
  const decide = (of: ReturnType<typeof compileBundle>) =>
    compile(of.bundle, { now: () => 0 }).decide({
      caller: { type: 'anonymous' },
      method: 'tools/call',
      object: { type: 'tool', name: 'a', facts: facts() },
    }).code;
  const size = ({ files }: ReturnType<typeof compileBundle>) => Object.values(files).join('').length;

  it('keeps the policies that fitted last, and says who must shorten what', () => {
    const before = compileBundle(input({ policies: [long(2)] }));
    const after = compileBundle(input({ policies: [long(2), long(25, 'longer')], previous: before.bundle }));
    expect(after.digest).toBe(before.digest);
    expect(after.oversized).toMatch(
      /would have 1\d{6} bytes, and 1000000 fit .* shorten them: agents\/longer \(1\d{6} bytes\), agents\/long \(\d+ bytes\).*; until then what fitted last stays in force$/,
    );
    expect(after.warnings.get('agents/longer')).toEqual([`agents/github: ${after.oversized}`]);
    const next = compileBundle(input({ policies: [long(2), long(25, 'longer')], previous: after.bundle }));
    expect([next.digest, next.oversized]).toEqual([after.digest, after.oversized]);
  });

  it('takes settings of the spec all the same', () => {
    const before = compileBundle(input({ policies: [long(2)] }));
    const strict = server({ guard: { enabled: true }, policy: { required: true } });
    const after = compileBundle(input({ server: strict, policies: [long(25)], previous: before.bundle }));
    expect(after.bundle.policy).toEqual({ ...before.bundle.policy, required: true });
  });

  it('lets no namespace keep policies of the platform out', () => {
    const before = compileBundle(input({ policies: [platform(1), long(2)] }));
    const after = compileBundle(input({ policies: [platform(2), long(25)], previous: before.bundle }));
    expect(names(after)).toEqual(['long.1', 'platform.2']);
    const full = compileBundle(input({ policies: [long(16)] }));
    expect(full.oversized).toBeUndefined();
    const big = { ...long(3, 'platform'), metadata: { ...SYSTEM, generation: 1 } };
    const pushed = compileBundle(
      input({ policies: [{ ...big, spec: { ...big.spec, namespaces: { matchNames: ['*'] } } }, long(16)], previous: full.bundle }),
    );
    expect(names(pushed)).toEqual(['long.1', 'platform.1']);
    expect(pushed.oversized).toMatch(/every call is refused$/);
    expect(decide(pushed)).toBe('POLICY_ERROR');
  });

  it('refuses every call where nothing was enforced before', () => {
    for (const previous of [undefined, compileBundle(input()).bundle]) {
      const made = compileBundle(input({ policies: [long(25)], previous }));
      expect(decide(made)).toBe('POLICY_ERROR');
      expect(made.oversized).toMatch(/every call is refused$/);
      const next = compileBundle(input({ policies: [long(25)], previous: made.bundle }));
      expect([next.digest, next.oversized]).toEqual([made.digest, made.oversized]);
    }
  });

  it('keeps no pins where they are too many from the first', () => {
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, number) => [`tool_${number}`, [digestOf('a')]]));
    const made = compileBundle(input({ policies: [policy({})], pins: { tools: many } }));
    expect(made.bundle.pins).toBeUndefined();
    expect(made.oversized).toMatch(/pins in ConfigMap github-pins.*; until then no tool counts as pinned$/);
  });

  it('has no keys where they alone are too many', () => {
    const keys = { issuers: { corp: { source: 'Discovery', keys: [{ n: 'x'.repeat(1_100_000) }] } } };
    const made = compileBundle(input({ policies: [policy({})], keys }));
    expect(size(made)).toBeLessThan(10_000);
    expect(decide(made)).toBe('POLICY_ERROR');
  });
});

describe('the bundle of a server whose spec is refused', () => {
  it('takes policies, and nothing of the spec', () => {
    const before = compileBundle(
      input({ server: server({ guard: { enabled: true }, authentication: { type: 'Guard', apiKeys: { secretName: 'keys' } } }) }),
    );
    const refused = server({ policy: { required: true }, expose: { allowedOrigins: ['https://evil.example.com'] } });
    const after = compileBundle(input({ server: refused, policies: [policy({})], previous: before.bundle, refused: true }));
    expect(after.bundle).toEqual({
      ...before.bundle,
      policy: { ...before.bundle.policy, policies: [expect.objectContaining({ name: 'policy' })] },
    });
  });
});

/** A policy of another version, as it would come from the API server. */
function foreign(change: object, metadata: Partial<MCPToolPolicy['metadata']> = {}): MCPToolPolicy {
  const stored = policy({ defaultAction: 'Allow' }, { generation: 2, ...metadata });
  return { ...stored, spec: { ...stored.spec, ...change } };
}

describe('a policy that this version cannot read', () => {
  const unreadable: readonly [sentence: string, change: object, problem: string][] = [
    ['has a field that is not known', { quarantine: true }, 'spec.quarantine: not known to this version'],
    [
      'has a field that is not known, deep inside',
      { rules: [{ name: 'r', effect: 'Allow', weekdays: ['Mon'] }] },
      'spec.rules.0.weekdays: not known to this version',
    ],
    [
      'has an operator that is not known',
      { rules: [{ name: 'r', effect: 'Allow', tools: ['*'], arguments: [{ path: '/a', operator: 'Like', value: 'x' }] }] },
      'spec.rules.0.arguments.0.operator',
    ],
    [
      'has a test without its operand',
      { rules: [{ name: 'r', effect: 'Allow', tools: ['*'], arguments: [{ path: '/a', operator: 'In' }] }] },
      'the test In of /a lacks its operand',
    ],
    [
      'has an expression that RE2 does not take',
      { rules: [{ name: 'r', effect: 'Allow', tools: ['*'], arguments: [{ path: '/a', operator: 'Matches', value: '(?=a)' }] }] },
      'must be a valid RE2 expression',
    ],
    [
      'names servers in two ways',
      { targetRefs: [{ group: 'mcp-fleet.dev', kind: 'MCPServer', name: 'github' }] },
      'exactly one of targetRefs and selector',
    ],
    [
      'would be of the platform tier, but is not in the operator’s namespace',
      { namespaces: { matchNames: ['*'] } },
      "only policies in the operator's own namespace",
    ],
  ];

  it.each(unreadable)('makes the server refuse if it %s', (_, change, problem) => {
    const { bundle, invalid } = compileBundle(input({ policies: [foreign(change)] }));
    expect(invalid).toMatchObject([
      { namespace: 'agents', name: 'policy', generation: 2, kept: false, problem: expect.stringContaining(problem) },
    ]);
    expect(bundle.policy.policies).toMatchObject([{ name: 'policy', invalid: expect.stringContaining(problem) }]);
    const engine = compile(bundle, { now: () => 0 });
    const decision = engine.decide({
      caller: { type: 'anonymous' },
      method: 'tools/call',
      object: { type: 'tool', name: 'a', facts: facts() },
    });
    expect(decision).toMatchObject({ code: 'POLICY_ERROR', policy: 'agents/policy' });
  });

  it('keeps the form that the bundle holds', () => {
    const before = compileBundle(input({ policies: [policy({ defaultAction: 'Allow' })] }));
    const after = compileBundle(input({ policies: [foreign({ quarantine: true })], previous: before.bundle }));
    expect(after.invalid).toMatchObject([{ kept: true, generation: 1 }]);
    expect(after.digest).toBe(before.digest);
    const still = compileBundle(input({ policies: [foreign({ quarantine: true }, { generation: 3 })], previous: after.bundle }));
    expect(still.digest).toBe(before.digest);
  });

  it('keeps no form of another policy, and none that was unreadable already', () => {
    const other = compileBundle(input({ policies: [policy({}, { name: 'other' })] }));
    expect(compileBundle(input({ policies: [foreign({ quarantine: true })], previous: other.bundle })).invalid).toMatchObject([
      { kept: false },
    ]);
    const bad = compileBundle(input({ policies: [foreign({ quarantine: true })] }));
    expect(compileBundle(input({ policies: [foreign({ quarantine: true })], previous: bad.bundle })).invalid).toMatchObject([
      { kept: false },
    ]);
  });
});

describe('warnings', () => {
  const known: BundleInput['known'] = {
    tools: [
      { name: 'get_issue', hints: hint(true) },
      { name: 'odd', hints: hint(true, true) },
    ],
    prompts: ['review'],
    resources: { uris: ['file:///srv/a'], templates: ['db://{table}'] },
  };
  const guarded = server({ authentication: { type: 'Guard', jwt: [jwt] } });
  const rule = (part: object) => ({ rules: [{ name: 'r', effect: 'Allow' as const, ...part }] });
  const odd = 'tool odd of github calls itself read-only and destructive; it counts as Destructive';

  const table: readonly [sentence: string, spec: Partial<MCPToolPolicySpecInput>, warnings: readonly string[]][] = [
    ['a pattern that matches no tool', rule({ tools: ['get_isue', 'get_*', '*'] }), ['rule r: pattern get_isue matches no tool of github']],
    ['a pattern that matches no prompt', rule({ prompts: ['rewiev', 'review'] }), ['rule r: pattern rewiev matches no prompt of github']],
    [
      'a pattern that matches no resource',
      rule({ resources: ['file:///etc/**', 'file:///srv/*', 'db://users', '**'] }),
      ['rule r: pattern file:///etc/** matches no resource of github'],
    ],
    [
      'a pattern that no URI in normal form can match',
      rule({ resources: ['file:///srv/../**'] }),
      ['rule r: pattern file:///srv/../** can match no URI in normal form'],
    ],
    [
      'an override that matches no tool',
      { access: { overrides: [{ tools: ['x'], class: 'ReadOnly' }] } },
      ['access.overrides[0]: pattern x matches no tool of github'],
    ],
    [
      'a limit that matches no tool',
      { limits: { rate: [{ name: 'l', per: 'Server', requests: 1, window: '1m', tools: ['x'] }] } },
      ['limit l: pattern x matches no tool of github'],
    ],
    ['an expired rule', rule({ notAfter: '2026-05-31T00:00:00Z' }), ['rule r: expired at 2026-05-31T00:00:00.000Z']],
    [
      'an issuer that the server does not take',
      rule({ subjects: [{ jwt: { issuer: 'https://other' } }, { jwt: { issuer: jwt.issuer } }] }),
      ['rule r: github takes no tokens of issuer https://other'],
    ],
    [
      'a ServiceAccount where none is taken',
      rule({ subjects: [{ serviceAccount: { namespace: 'a', name: 'b' } }] }),
      ['rule r: github takes no tokens of ServiceAccounts'],
    ],
    ['a user where no API key is taken', rule({ subjects: [{ user: 'ci' }] }), ['rule r: github takes no API keys']],
    ['nothing of anonymous callers and tunnels', rule({ subjects: [{ authenticated: false }, { tunnel: 't' }] }), []],
  ];
  it.each(table)('tell of %s', (_, spec, expected) => {
    const { warnings } = compileBundle(input({ server: guarded, policies: [policy(spec)], known }));
    expect(warnings.get('agents/policy')).toEqual([...expected, odd]);
  });

  it('tell of subjects where everybody is anonymous', () => {
    const { warnings } = compileBundle(input({ policies: [policy(rule({ subjects: [{ user: 'ci' }] }))], known }));
    expect(warnings.get('agents/policy')).toContain(
      'rule r: github has authentication type None, so that all its callers are anonymous here',
    );
  });

  it('say nothing of contradictions where hints do not count, or an override decides', () => {
    const never = policy({ access: { trustAnnotations: 'Never' } });
    const overridden = policy({ access: { overrides: [{ tools: ['odd'], class: 'ReadOnly' }] } });
    for (const each of [never, overridden])
      expect(compileBundle(input({ policies: [each], known })).warnings.get('agents/policy')).toEqual([]);
  });

  it('say nothing of what is not known of the server', () => {
    const { warnings } = compileBundle(input({ policies: [policy(rule({ tools: ['x'], prompts: ['y'], resources: ['file:///z'] }))] }));
    expect(warnings.get('agents/policy')).toEqual([]);
  });

  it.each([
    ['Block', ['tool changed of github changed since it was pinned: until it is approved, calls are refused']],
    ['Warn', ['tool changed of github changed since it was pinned: until it is approved, its hints do not count']],
    ['Off', []],
  ] as const)('under pinning %s, tell of tools that are not as they were pinned', (pinning, expected) => {
    const tool = (name: string, digest: string) => ({ name, digest, hints: hint(true) });
    const tools = [tool('same', 'sha256:a'), tool('changed', 'sha256:b'), tool('new', 'sha256:c'), tool('constructor', 'sha256:d')];
    const pins = { tools: { same: ['sha256:0', 'sha256:a'], changed: ['sha256:a'] } };
    const { warnings } = compileBundle(input({ policies: [policy({ pinning })], known: { tools }, pins }));
    expect(warnings.get('agents/policy')).toEqual(expected);
  });

  it('print nothing that a server or user could hide in a name', () => {
    const tools = [{ name: 'a\u001b[2Jb', hints: hint(true, true) }];
    const { warnings } = compileBundle(input({ policies: [policy({})], known: { tools } }));
    expect(warnings.get('agents/policy')?.join()).not.toContain('\u001b');
  });
});
