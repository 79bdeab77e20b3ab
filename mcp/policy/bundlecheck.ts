import { createHash } from 'node:crypto';
import { BUNDLE_VERSION, type Bundle, type IssuerKeys, type Policy } from './bundle.ts';
import { expression } from './expression.ts';
import { POINTER } from './pointer.ts';
import { all, bool, list, name, number, object, oneOf, record, rule, type Shape, ShapeError, text, variants } from './shape.ts';

/** A bundle that must not be used. The guard keeps the last good one and reports the message. */
export class BundleError extends Error {
  constructor(problem: string, options?: ErrorOptions) {
    super(problem, options);
    this.name = 'BundleError';
  }
}

/** Digest of `bundle.json` as it lies on disk: what the guard reports and the operator compares. */
export const bundleDigest = (bytes: string): string => `sha256:${createHash('sha256').update(bytes, 'utf8').digest('hex')}`;

/** Throws `BundleError` when it is not JSON, of another version, or has anything that this version does not know. */
export function parseBundle(bytes: string): Bundle {
  const value = parse(bytes);
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (version !== BUNDLE_VERSION) throw new BundleError(`bundle version ${String(version)} is not ${BUNDLE_VERSION}`);
  check(BUNDLE, value);
  return value as Bundle;
}

/** `keys.json`. Throws `BundleError`. */
export function parseKeys(bytes: string): IssuerKeys {
  const value = parse(bytes);
  check(KEYS, value);
  return value as IssuerKeys;
}

/** `replicas.json`: a number, at least 1. Throws `BundleError`. */
export function parseReplicas(bytes: string): number {
  const value = parse(bytes);
  check(number(1), value);
  return value as number;
}

/** Throws `BundleError` when a policy must not go into a bundle: the operator's last look, by the guard's own rules. */
export function checkPolicy(value: unknown): asserts value is Policy {
  check(policy, value);
}

function parse(bytes: string): unknown {
  try {
    return JSON.parse(bytes) as unknown;
  } catch (cause) {
    throw new BundleError('not JSON', { cause });
  }
}

function check(shape: Shape, value: unknown): void {
  try {
    shape(value, '');
  } catch (cause) {
    if (cause instanceof ShapeError) throw new BundleError(cause.message, { cause });
    throw cause;
  }
}

const names = list(name);
const globs = list(name, { min: 1 });
const strings = list(text());
const action = oneOf('Allow', 'Deny');
const toolClass = oneOf('ReadOnly', 'NonDestructive', 'Destructive');
const pointer = text((value) => POINTER.test(value), 'a JSON Pointer');
const anyNumber = number(Number.NEGATIVE_INFINITY, { integer: false });

const re2 = text((value) => {
  try {
    expression(value);
    return true;
  } catch {
    return false;
  }
}, 'a valid RE2 expression');

const scalar: Shape = (value, path) => {
  if (typeof value === 'number') anyNumber(value, path);
  else if (typeof value !== 'string' && typeof value !== 'boolean') throw new ShapeError(path, 'must be a string, a number or a boolean');
};

/** Operands by operator, besides `path` and `operator`. */
const OPERANDS: Readonly<Record<string, Readonly<Record<string, Shape>>>> = {
  Exists: {},
  Absent: {},
  Equals: { value: scalar },
  NotEquals: { value: scalar },
  Prefix: { value: text() },
  Glob: { value: text() },
  Matches: { value: re2 },
  In: { values: strings },
  NotIn: { values: strings },
  SubsetOf: { values: strings },
  GreaterThan: { min: anyNumber },
  LessThan: { max: anyNumber },
  MaxLength: { max: number(0) },
  Between: { min: anyNumber, max: anyNumber },
};

const argumentTest = (more: Readonly<Record<string, Shape>> = {}): Shape =>
  variants(
    'operator',
    Object.fromEntries(
      Object.entries(OPERANDS).map(([operator, operands]) => [
        operator,
        object({ path: pointer, operator: oneOf(operator), ...operands, ...more }),
      ]),
    ),
  );

const subject = all(
  object(
    {},
    {
      jwt: object({ issuer: name, groups: names, scopes: names }),
      serviceAccount: object({ namespace: name, name }),
      user: name,
      tunnel: name,
      authenticated: bool,
    },
  ),
  rule((value) => (Object.keys(value).length === 0 ? 'must have a member: an empty subject would be everyone' : undefined)),
);

const policyRule = object(
  { name, effect: action, arguments: list(argumentTest()) },
  { subjects: list(subject, { min: 1 }), tools: globs, resources: globs, prompts: globs, notAfter: anyNumber, message: text() },
);

const uniqueNames: Shape = (value, path) => {
  const seen = new Set<unknown>();
  for (const { name: its } of value as readonly { readonly name: unknown }[]) {
    if (seen.has(its)) throw new ShapeError(path, `has two entries named ${String(its)}`);
    seen.add(its);
  }
};

const identity = { namespace: name, name, generation: number(0), tier: oneOf('platform', 'namespace') };

const validPolicy = object({
  ...identity,
  mode: oneOf('Enforce', 'Audit'),
  defaultAction: action,
  access: object({
    maximumClass: toolClass,
    trustAnnotations: oneOf('Never', 'Pinned', 'Always'),
    overrides: list(object({ tools: globs, class: toolClass, unless: list(argumentTest({ class: toolClass })) })),
  }),
  rules: all(list(policyRule), uniqueNames),
  methods: object({
    completion: action,
    logging: action,
    subscriptions: action,
    tasks: oneOf('BoundToCaller', 'Deny'),
    unknown: action,
    serverRequests: object({ elicitation: action, sampling: action, roots: action }),
  }),
  limits: object(
    {
      rate: all(
        list(
          object(
            { name, per: oneOf('Caller', 'CallerAndTool', 'Server'), requests: number(1), windowMs: number(1), burst: number(1) },
            { tools: globs },
          ),
        ),
        uniqueNames,
      ),
      concurrency: object({}, { perCaller: number(1), total: number(1), streamsPerCaller: number(1) }),
    },
    { maxRequestBytes: number(1), maxResponseBytes: number(1), callTimeoutMs: number(1) },
  ),
  pinning: oneOf('Off', 'Warn', 'Block'),
  audit: object({ level: oneOf('None', 'Metadata', 'Arguments'), redact: list(pointer), onFailure: oneOf('Block', 'Drop') }),
  hiddenAnswer: oneOf('NotFound', 'Refused'),
});

const invalidPolicy = object({ ...identity, invalid: text() });

const policy: Shape = (value, path) => {
  const invalid = typeof value === 'object' && value !== null && Object.hasOwn(value, 'invalid');
  (invalid ? invalidPolicy : validPolicy)(value, path);
};

const BUNDLE = object(
  {
    version: oneOf(BUNDLE_VERSION),
    server: object({ namespace: name, name, uid: name }),
    settings: object({ hosts: names, allowedOrigins: names }),
    authentication: object(
      {
        type: oneOf('None', 'Guard', 'Upstream'),
        anonymous: bool,
        jwt: list(object({ name, issuer: name, audiences: names, groupsClaim: name, requiredScopes: names })),
        apiKeys: bool,
        forward: variants('type', {
          None: object({ type: name }),
          Headers: object({ type: name, userHeader: name, groupsHeader: name }),
          Token: object({ type: name }),
        }),
      },
      { serviceAccounts: object({ issuer: name, audiences: names }) },
    ),
    policy: object({ required: bool, ambient: oneOf('Allow', 'ReadOnly', 'Deny'), policies: list(policy) }),
  },
  { pins: object({ tools: record(list(text((value) => /^sha256:[0-9a-f]{64}$/u.test(value), 'a SHA-256 digest'))) }) },
);

const anything: Shape = () => {};
const KEYS = object({ issuers: record(object({ keys: list(record(anything)) }, { source: text() })) });
