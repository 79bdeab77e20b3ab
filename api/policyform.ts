import type { ArgumentTest, ClassException } from './argumenttest.ts';
import { bytes } from './bytesize.ts';
import { MCPToolPolicySpec } from './mcptoolpolicy.ts';
import type { PolicyRule } from './policyrule.ts';
import { milliseconds } from './schema/duration.ts';

/** A spec that this version cannot read, although an API server took it: it was written for another version. */
export class PolicySpecError extends Error {
  constructor(problem: string, options?: ErrorOptions) {
    super(problem, options);
    this.name = 'PolicySpecError';
  }
}

/**
 * The spec of a stored policy. Throws `PolicySpecError` for what this version does not know: a field that is overlooked could be a restriction.
 */
export function policySpec(stored: unknown): MCPToolPolicySpec {
  const parsed = MCPToolPolicySpec.safeParse(stored);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new PolicySpecError(`spec${(issue?.path ?? []).map((key) => `.${String(key)}`).join('')}: ${issue?.message ?? 'not readable'}`, {
      cause: parsed.error,
    });
  }
  const unknown = unknownField(stored, parsed.data, 'spec');
  if (unknown !== undefined) throw new PolicySpecError(`${unknown}: not known to this version`);
  const spec = parsed.data as MCPToolPolicySpec;
  if ((spec.targetRefs === undefined) === (spec.selector === undefined)) {
    throw new PolicySpecError('spec: exactly one of targetRefs and selector must be set');
  }
  return spec;
}

/** Path of the first field that reading dropped. */
function unknownField(stored: unknown, read: unknown, path: string): string | undefined {
  if (typeof stored !== 'object' || stored === null || typeof read !== 'object' || read === null) return undefined;
  for (const [key, value] of Object.entries(stored)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(read, key)) return `${path}.${key}`;
    const found = unknownField(value, (read as Record<string, unknown>)[key], `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The form in which guards get a policy (`ValidPolicy` of `mcp/policy/bundle.ts`, but for its identity): defaults filled in, durations in
 * milliseconds, sizes in bytes, instants as milliseconds since 1970. Throws `PolicySpecError` where operands are missing.
 */
export function policyForm(spec: MCPToolPolicySpec) {
  const { access, limits } = spec;
  const { maxRequestBytes, maxResponseBytes, callTimeout, concurrency = {} } = limits;
  return {
    mode: spec.mode,
    defaultAction: spec.defaultAction,
    access: {
      maximumClass: access.maximumClass,
      trustAnnotations: access.trustAnnotations,
      overrides: (access.overrides ?? []).map((override) => ({
        tools: override.tools,
        class: override.class,
        unless: (override.unless ?? []).map((exception: ClassException) => ({ ...testForm(exception), class: exception.class })),
      })),
    },
    rules: (spec.rules ?? []).map(ruleForm),
    methods: spec.methods,
    limits: {
      rate: (limits.rate ?? []).map(({ name, per, requests, window, burst = requests, tools }) => ({
        name,
        per,
        requests,
        windowMs: milliseconds(window),
        burst,
        ...(tools === undefined ? {} : { tools }),
      })),
      concurrency,
      ...(maxRequestBytes === undefined ? {} : { maxRequestBytes: bytes(maxRequestBytes) }),
      ...(maxResponseBytes === undefined ? {} : { maxResponseBytes: bytes(maxResponseBytes) }),
      ...(callTimeout === undefined ? {} : { callTimeoutMs: milliseconds(callTimeout) }),
    },
    pinning: spec.pinning,
    audit: { level: spec.audit.level, redact: spec.audit.redact ?? [], onFailure: spec.audit.onFailure },
    hiddenAnswer: spec.hiddenAnswer,
  };
}

function ruleForm(rule: PolicyRule) {
  const { subjects, notAfter, arguments: tests, ...rest } = rule;
  return {
    ...rest,
    ...(subjects === undefined
      ? {}
      : {
          subjects: subjects.map(({ jwt, ...subject }) => ({
            ...subject,
            ...(jwt === undefined ? {} : { jwt: { issuer: jwt.issuer, groups: jwt.groups ?? [], scopes: jwt.scopes ?? [] } }),
          })),
        }),
    arguments: (tests ?? []).map(testForm),
    ...(notAfter === undefined ? {} : { notAfter: Date.parse(notAfter) }),
  };
}

function testForm(test: ArgumentTest) {
  const { path, operator } = test;
  switch (operator) {
    case 'Exists':
    case 'Absent':
      return { path, operator };
    case 'Equals':
    case 'NotEquals':
      return { path, operator, value: operand(test, test.value ?? test.number ?? test.boolean) };
    case 'Prefix':
    case 'Glob':
    case 'Matches':
      return { path, operator, value: operand(test, test.value) };
    case 'In':
    case 'NotIn':
    case 'SubsetOf':
      return { path, operator, values: operand(test, test.values) };
    case 'GreaterThan':
      return { path, operator, min: operand(test, test.min) };
    case 'LessThan':
    case 'MaxLength':
      return { path, operator, max: operand(test, test.max) };
    case 'Between':
      return { path, operator, min: operand(test, test.min), max: operand(test, test.max) };
  }
}

function operand<Value>({ path, operator }: ArgumentTest, value: Value | undefined): Value {
  if (value === undefined) throw new PolicySpecError(`the test ${operator} of ${path} lacks its operand`);
  return value;
}
