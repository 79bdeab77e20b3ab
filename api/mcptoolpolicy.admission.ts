/** What every case below has unless it says otherwise. */
export const MINIMAL = { selector: {}, defaultAction: 'Deny' } as const;

interface Refusal {
  readonly spec: object;
  /** Where the API server says that it is wrong. */
  readonly field: string;
  /** Part of what it says. */
  readonly message: string;
}

const refusal = (field: string, message: string, spec: object): Refusal => ({ field: `spec${field}`, message, spec });
const rule = (part: object): object => ({ rules: [{ name: 'rule', effect: 'Allow', tools: ['*'], ...part }] });
const test = (part: object): object => rule({ arguments: [{ path: '/a', ...part }] });
const subject = (part: object): object => rule({ subjects: [part] });
const unless = (part: object): object => ({
  access: { overrides: [{ tools: ['*'], class: 'Destructive', unless: [{ path: '/a', class: 'ReadOnly', ...part }] }] },
});
const rate = (part: object): object => ({ limits: { rate: [{ name: 'limit', per: 'Caller', requests: 1, window: '1m', ...part }] } });
const targets = (...refs: readonly object[]): object => ({ selector: undefined, targetRefs: refs });

const argument = '.rules[0].arguments[0]';
const operandsOfText = 'Prefix, Glob and Matches take value';
const operandsOfEquality = 'Equals and NotEquals take exactly one of value, number and boolean';

/** Specs that the API server takes, keyed by what they show. */
export const ACCEPTED_POLICIES: Readonly<Record<string, object>> = {
  'the shortest': {},
  'servers by name': targets({ name: 'github' }, { name: 'gitlab' }),
  'servers by name, group and kind written out': targets({ group: 'mcp-fleet.dev', kind: 'MCPServer', name: 'github' }),
  'servers by label': { selector: { matchLabels: { team: 'a' }, matchExpressions: [{ key: 'tier', operator: 'In', values: ['x'] }] } },
  'the platform tier': { namespaces: { matchNames: ['team-*', 'agents'] } },
  'the example of the reference': {
    mode: 'Enforce',
    access: {
      maximumClass: 'ReadOnly',
      trustAnnotations: 'Pinned',
      overrides: [
        { tools: ['get_*', 'list_*'], class: 'ReadOnly' },
        { tools: ['resources_scale'], class: 'Destructive', unless: [{ path: '/scale', operator: 'Absent', class: 'ReadOnly' }] },
      ],
    },
    rules: [
      {
        name: 'oncall-restarts',
        effect: 'Allow',
        subjects: [
          { jwt: { issuer: 'https://idp.example.com', groups: ['oncall'], scopes: [] } },
          { serviceAccount: { namespace: 'agents', name: 'triage' } },
          { user: 'ci-bot' },
          { tunnel: 'edge-7' },
          { authenticated: true },
        ],
        tools: ['pods_delete', 'deployments_*'],
        arguments: [
          { path: '/namespace', operator: 'In', values: ['staging'] },
          { path: '/grace', operator: 'Between', min: 0, max: 300 },
        ],
        notAfter: '2026-12-31T00:00:00Z',
        message: 'Only staging.',
      },
      { name: 'files', effect: 'Allow', resources: ['file:///srv/**'], prompts: ['*'] },
    ],
    methods: {
      completion: 'Allow',
      logging: 'Allow',
      subscriptions: 'Allow',
      tasks: 'BoundToCaller',
      unknown: 'Deny',
      serverRequests: { elicitation: 'Allow', sampling: 'Deny', roots: 'Deny' },
    },
    limits: {
      rate: [{ name: 'per-caller', per: 'Caller', requests: 120, window: '1m', burst: 20, tools: ['*'] }],
      concurrency: { perCaller: 8, total: 64, streamsPerCaller: 4 },
      maxRequestBytes: '1Mi',
      maxResponseBytes: '16Mi',
      callTimeout: '10m',
    },
    pinning: 'Warn',
    audit: { level: 'Metadata', redact: ['/password', '/**/token'], onFailure: 'Block' },
    hiddenAnswer: 'NotFound',
  },
  'every ServiceAccount of a namespace': subject({ serviceAccount: { namespace: 'agents', name: '*' } }),
  'several members in a subject': subject({ user: 'ci-bot', tunnel: 'edge-7' }),
  Exists: test({ operator: 'Exists' }),
  Absent: test({ operator: 'Absent' }),
  'Equals with a text': test({ operator: 'Equals', value: '' }),
  'Equals with a number': test({ operator: 'Equals', number: 1.5 }),
  'NotEquals with a truth value': test({ operator: 'NotEquals', boolean: false }),
  Prefix: test({ operator: 'Prefix', value: 'web-' }),
  Glob: test({ operator: 'Glob', value: '/srv/**' }),
  'Matches with an RE2 expression': test({ operator: 'Matches', value: '^(?i:web)-[0-9]{1,3}$' }),
  NotIn: test({ operator: 'NotIn', values: ['a'] }),
  SubsetOf: test({ operator: 'SubsetOf', values: ['a', 'b'] }),
  GreaterThan: test({ operator: 'GreaterThan', min: -1.5 }),
  LessThan: test({ operator: 'LessThan', max: 3 }),
  MaxLength: test({ operator: 'MaxLength', max: 0 }),
  'a pointer through every element, with escapes': rule({ arguments: [{ path: '/items/*/a~1b~0', operator: 'Exists' }] }),
  'a class that depends on an expression': unless({ operator: 'Matches', value: '^get' }),
  'an expiry with an offset': rule({ notAfter: '2026-12-31T00:00:00+02:00' }),
  'sizes as numbers': { limits: { maxRequestBytes: 65_536 } },
  'an allowance per tool': rate({ per: 'CallerAndTool', tools: ['search_*'] }),
  'as much as fits': {
    rules: Array.from({ length: 64 }, (_, number) => ({
      name: `rule-${number}`,
      effect: 'Deny',
      tools: Array.from({ length: 64 }, (__, at) => `tool_${at}_*`),
      arguments: Array.from({ length: 16 }, (__, at) => ({
        path: `/a${at}`,
        operator: at === 0 ? 'Matches' : 'Glob',
        value: `${'x'.repeat(250)}${number}`,
      })),
    })),
  },
};

/** Specs that the API server refuses, keyed by what is wrong with them. Every CEL rule of the schema is here once. */
export const REFUSED_POLICIES: Readonly<Record<string, Refusal>> = {
  'no server': refusal('', 'say which servers: set exactly one of targetRefs and selector', { selector: undefined }),
  'servers by name and by label': refusal('', 'say which servers', { targetRefs: [{ name: 'github' }] }),
  'an empty list of servers': refusal('.targetRefs', 'should have at least 1 items', { selector: undefined, targetRefs: [] }),
  'a server twice': refusal('.targetRefs[1]', 'Duplicate value', targets({ name: 'github' }, { name: 'github' })),
  'another kind of target': refusal('.targetRefs[0].kind', 'Unsupported value', targets({ kind: 'Service', name: 'github' })),
  'another group of target': refusal('.targetRefs[0].group', 'Unsupported value', targets({ group: 'apps', name: 'github' })),
  'a name that no server can have': refusal('.targetRefs[0].name', 'must be the name of an MCPServer', targets({ name: '1github' })),
  'no default action': refusal('.defaultAction', 'Required value', { defaultAction: undefined }),
  'a default action that does not exist': refusal('.defaultAction', 'Unsupported value', { defaultAction: 'Maybe' }),
  'a name of namespaces that none can have': refusal('.namespaces.matchNames[0]', 'must be a name of namespaces', {
    namespaces: { matchNames: ['Team'] },
  }),
  'two rules of one name': refusal('.rules[1]', 'Duplicate value', {
    rules: [
      { name: 'a', effect: 'Allow' },
      { name: 'a', effect: 'Deny' },
    ],
  }),
  'a rule whose name is no label': refusal('.rules[0].name', 'must be a DNS label', rule({ name: 'A b' })),
  'a rule without effect': refusal('.rules[0].effect', 'Required value', rule({ effect: undefined })),
  'an empty list of tools': refusal('.rules[0].tools', 'should have at least 1 items', rule({ tools: [] })),
  'an empty list of subjects': refusal('.rules[0].subjects', 'should have at least 1 items', rule({ subjects: [] })),
  'an empty subject': refusal('.rules[0].subjects[0]', 'an empty subject would be everyone', subject({})),
  'a user that no key of a Secret can name': refusal(
    '.rules[0].subjects[0].user',
    'must be a key of a ConfigMap or Secret',
    subject({ user: 'a b' }),
  ),
  'a tunnel that cannot exist': refusal(
    '.rules[0].subjects[0].tunnel',
    'must be the name of a Kubernetes object',
    subject({ tunnel: 'A' }),
  ),
  'an issuer that is no URL': refusal(
    '.rules[0].subjects[0].jwt.issuer',
    'must be the URL of an issuer',
    subject({ jwt: { issuer: 'corp' } }),
  ),
  'a ServiceAccount by pattern': refusal(
    '.rules[0].subjects[0].serviceAccount.name',
    'must be the name of a ServiceAccount, or *',
    subject({ serviceAccount: { namespace: 'a', name: 'b-*' } }),
  ),
  'an expiry that is no date': refusal('.rules[0].notAfter', 'must be of type date-time', rule({ notAfter: 'tomorrow' })),
  'arguments of resources': refusal('.rules[0]', 'arguments belong to tools and prompts', {
    rules: [{ name: 'a', effect: 'Allow', resources: ['**'], arguments: [{ path: '/a', operator: 'Exists' }] }],
  }),
  'arguments of everything': refusal('.rules[0]', 'arguments belong to tools and prompts', {
    rules: [{ name: 'a', effect: 'Allow', arguments: [{ path: '/a', operator: 'Exists' }] }],
  }),
  'a path without a slash': refusal(`${argument}.path`, 'must be a JSON Pointer', test({ path: 'a', operator: 'Exists' })),
  'a path to everything': refusal(`${argument}.path`, 'must be a JSON Pointer', test({ path: '', operator: 'Exists' })),
  'a path with a bad escape': refusal(`${argument}.path`, 'must be a JSON Pointer', test({ path: '/a~2', operator: 'Exists' })),
  'an operator that does not exist': refusal(`${argument}.operator`, 'Unsupported value', test({ operator: 'Like', value: 'a' })),
  'Exists with an operand': refusal(argument, operandsOfText, test({ operator: 'Exists', value: 'a' })),
  'Prefix without its operand': refusal(argument, operandsOfText, test({ operator: 'Prefix' })),
  'In with a single value': refusal(argument, operandsOfText, test({ operator: 'In', values: ['a'], value: 'a' })),
  'Equals without an operand': refusal(argument, operandsOfEquality, test({ operator: 'Equals' })),
  'Equals with two': refusal(argument, operandsOfEquality, test({ operator: 'Equals', value: 'a', number: 1 })),
  'Prefix with a number': refusal(argument, operandsOfEquality, test({ operator: 'Prefix', value: 'a', number: 1 })),
  'a number where a text is meant': refusal(`${argument}.value`, 'must be of type string', test({ operator: 'Equals', value: 5 })),
  'In without values': refusal(argument, 'In, NotIn and SubsetOf take values', test({ operator: 'In' })),
  'Exists with values': refusal(argument, 'In, NotIn and SubsetOf take values', test({ operator: 'Exists', values: ['a'] })),
  'In with no value': refusal(`${argument}.values`, 'should have at least 1 items', test({ operator: 'In', values: [] })),
  'GreaterThan without its bound': refusal(argument, 'GreaterThan and Between take min', test({ operator: 'GreaterThan' })),
  'GreaterThan with the other bound': refusal(
    argument,
    'LessThan, MaxLength and Between take max',
    test({ operator: 'GreaterThan', min: 1, max: 1 }),
  ),
  'Between with one bound': refusal(argument, 'LessThan, MaxLength and Between take max', test({ operator: 'Between', min: 1 })),
  'Between with its bounds crossed': refusal(argument, 'min must not exceed max', test({ operator: 'Between', min: 2, max: 1 })),
  'a negative length': refusal(`${argument}.max`, 'a length is an integer that is not negative', test({ operator: 'MaxLength', max: -1 })),
  'half a character': refusal(`${argument}.max`, 'a length is an integer that is not negative', test({ operator: 'MaxLength', max: 1.5 })),
  'an expression that does not end': refusal(argument, 'value must be an RE2 expression', test({ operator: 'Matches', value: '(' })),
  'an expression with look-ahead': refusal(argument, 'value must be an RE2 expression', test({ operator: 'Matches', value: '(?=a)' })),
  'an expression with a back-reference': refusal(
    argument,
    'value must be an RE2 expression',
    test({ operator: 'Matches', value: String.raw`(a)\1` }),
  ),
  'a bad expression in a class exception': refusal(
    '.access.overrides[0].unless[0]',
    'value must be an RE2 expression',
    unless({ operator: 'Matches', value: '[' }),
  ),
  'a class exception without its operand': refusal('.access.overrides[0].unless[0]', operandsOfText, unless({ operator: 'Glob' })),
  'an expression that is too long': refusal(
    `${argument}.value`,
    'an expression has at most 256',
    test({ operator: 'Matches', value: 'x'.repeat(257) }),
  ),
  'too many expressions': refusal('', 'a policy has at most 64 tests with Matches', {
    access: {
      overrides: [{ tools: ['*'], class: 'Destructive', unless: [{ path: '/a', operator: 'Matches', value: 'x', class: 'ReadOnly' }] }],
    },
    rules: Array.from({ length: 4 }, (_, number) => ({
      name: `rule-${number}`,
      effect: 'Deny',
      tools: ['*'],
      arguments: Array.from({ length: 16 }, () => ({ path: '/a', operator: 'Matches', value: 'x' })),
    })),
  }),
  'a class that does not exist': refusal('.access.maximumClass', 'Unsupported value', { access: { maximumClass: 'Harmless' } }),
  'a window that is no duration': refusal('.limits.rate[0].window', 'must be a duration such as', rate({ window: '1 minute' })),
  'a window of nothing': refusal('.limits.rate[0].window', 'must be from 100ms to 24h', rate({ window: '0s' })),
  'a rate of nothing': refusal('.limits.rate[0].requests', 'should be greater than or equal to 1', rate({ requests: 0 })),
  'an allowance per tool without tools': refusal(
    '.limits.rate[0]',
    'say which tools an allowance per tool is about',
    rate({ per: 'CallerAndTool' }),
  ),
  'a call that may take no time': refusal('.limits.callTimeout', 'must be from 1s to 24h', { limits: { callTimeout: '10ms' } }),
  'a size in milli': refusal('.limits.maxRequestBytes', 'must be a size such as', { limits: { maxRequestBytes: '100m' } }),
  'a size of nothing': refusal('.limits.maxResponseBytes', 'must be from 1 to 999999999 bytes', { limits: { maxResponseBytes: 0 } }),
  'a redaction that is no pointer': refusal('.audit.redact[0]', 'must be a JSON Pointer', { audit: { redact: ['password'] } }),
};
