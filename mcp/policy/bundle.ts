/**
 * The policy bundle: everything that a guard enforces for one server, as plain JSON.
 *
 * The operator compiles it from all selecting MCPToolPolicies and the MCPServer; the guard and `mcp-fleet explain` read it. Optional
 * means "no policy said anything". Durations are milliseconds, sizes bytes, instants milliseconds since 1970.
 * Beside it lie two files that are not part of its digest, because they change without anybody's decision: issuer keys and the replica count.
 */

import type { ToolClass } from '../inventory.ts';

/** A guard refuses a bundle of another version, and one with fields it does not know: ignoring a restriction would be worse than staying behind. */
export const BUNDLE_VERSION = 1;

/** File names inside the ConfigMap `<server>-policy`. */
export const BUNDLE_FILES = { bundle: 'bundle.json', keys: 'keys.json', replicas: 'replicas.json' } as const;

export interface Bundle {
  readonly version: typeof BUNDLE_VERSION;
  readonly server: ServerIdentity;
  readonly settings: ServerSettings;
  readonly authentication: Authentication;
  readonly policy: PolicySet;
  /** Absent: no pins exist (`PinsMissing`), so hints lower nothing. */
  readonly pins?: Pins;
}

export interface ServerIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** What of the MCPServer may change without a restart of its pods. Ports, transport and processes are arguments of the guard's container. */
export interface ServerSettings {
  /** Hosts under which the server is reached; a browser's `Origin` must be one of them. */
  readonly hosts: readonly string[];
  /** Further browser origins, `expose.allowedOrigins`. */
  readonly allowedOrigins: readonly string[];
}

export interface Authentication {
  readonly type: 'None' | 'Guard' | 'Upstream';
  readonly anonymous: boolean;
  readonly serviceAccounts?: { readonly issuer: string; readonly audiences: readonly string[] };
  readonly jwt: readonly JwtIssuer[];
  /** True: the API keys are mounted in the guard, one file per user. */
  readonly apiKeys: boolean;
  readonly forward: Forward;
}

export interface JwtIssuer {
  readonly name: string;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly groupsClaim: string;
  readonly requiredScopes: readonly string[];
}

export type Forward =
  | { readonly type: 'None' }
  | { readonly type: 'Headers'; readonly userHeader: string; readonly groupsHeader: string }
  | { readonly type: 'Token' };

/** `keys.json`: public keys per issuer, fetched by the operator. */
export interface IssuerKeys {
  readonly issuers: Readonly<Record<string, KeySet>>;
}

export interface KeySet {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
  /** Where the operator has them from, for itself: keys of another source than the one that is asked now must not stay in force. */
  readonly source?: string;
}

/** Digests (`sha256:<hex>`) that are trusted per tool, at most four: old and new pods coexist during a rollout. */
export interface Pins {
  readonly tools: Readonly<Record<string, readonly string[]>>;
}

export interface PolicySet {
  /** `spec.policy.required`: without a policy every call is refused. */
  readonly required: boolean;
  /** The operator's `--ambient`: what holds where no policy selects the server. */
  readonly ambient: Ambient;
  readonly policies: readonly Policy[];
}

/** Nothing can be hidden from anybody: names that the inventory does not know (yet) are the server's to refuse. */
export const isTransparent = ({ required, ambient, policies }: PolicySet): boolean =>
  !required && ambient === 'Allow' && policies.every((policy) => isValid(policy) && policy.mode === 'Audit');

export type Ambient = 'Allow' | 'ReadOnly' | 'Deny';
export type Action = 'Allow' | 'Deny';
export type Tier = 'platform' | 'namespace';
export type Trust = 'Never' | 'Pinned' | 'Always';
export type Pinning = 'Off' | 'Warn' | 'Block';
export type HiddenAnswer = 'NotFound' | 'Refused';

export interface PolicyIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly generation: number;
  readonly tier: Tier;
}

export type Policy = ValidPolicy | InvalidPolicy;

export const isValid = (policy: Policy): policy is ValidPolicy => !('invalid' in policy);

/** A policy that this operator cannot read, and of which no earlier form is known: its targets refuse until it is mended. */
export interface InvalidPolicy extends PolicyIdentity {
  readonly invalid: string;
}

export interface ValidPolicy extends PolicyIdentity {
  readonly mode: 'Enforce' | 'Audit';
  readonly defaultAction: Action;
  readonly access: Access;
  readonly rules: readonly Rule[];
  readonly methods: Methods;
  readonly limits: Limits;
  readonly pinning: Pinning;
  readonly audit: Audit;
  readonly hiddenAnswer: HiddenAnswer;
}

export interface Access {
  readonly maximumClass: ToolClass;
  readonly trustAnnotations: Trust;
  readonly overrides: readonly ClassOverride[];
}

export interface ClassOverride {
  readonly tools: readonly string[];
  readonly class: ToolClass;
  readonly unless: readonly ClassException[];
}

/** The class that holds instead when the test does. */
export type ClassException = ArgumentTest & { readonly class: ToolClass };

export interface Rule {
  readonly name: string;
  readonly effect: Action;
  /** Absent: everyone, anonymous callers too. */
  readonly subjects?: readonly Subject[];
  /** None of the three: every tool, resource and prompt. */
  readonly tools?: readonly string[];
  readonly resources?: readonly string[];
  readonly prompts?: readonly string[];
  readonly arguments: readonly ArgumentTest[];
  readonly notAfter?: number;
  readonly message?: string;
}

/** All given members must hold. */
export interface Subject {
  readonly jwt?: {
    readonly issuer: string;
    /** The caller is in at least one of them; empty: no matter. */
    readonly groups: readonly string[];
    /** The token has all of them. */
    readonly scopes: readonly string[];
  };
  /** `name: "*"` is every ServiceAccount of the namespace. */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
  readonly user?: string;
  readonly tunnel?: string;
  readonly authenticated?: boolean;
}

/** `path` is a JSON Pointer into the arguments; `*` is every element of an array or object. */
export type ArgumentTest = { readonly path: string } & (
  | { readonly operator: 'Exists' | 'Absent' }
  | { readonly operator: 'Equals' | 'NotEquals'; readonly value: string | number | boolean }
  | { readonly operator: 'Prefix' | 'Glob' | 'Matches'; readonly value: string }
  | { readonly operator: 'In' | 'NotIn' | 'SubsetOf'; readonly values: readonly string[] }
  | { readonly operator: 'GreaterThan'; readonly min: number }
  | { readonly operator: 'LessThan' | 'MaxLength'; readonly max: number }
  | { readonly operator: 'Between'; readonly min: number; readonly max: number }
);

export interface Methods {
  readonly completion: Action;
  readonly logging: Action;
  readonly subscriptions: Action;
  readonly tasks: 'BoundToCaller' | 'Deny';
  /** Methods that the specification does not know. */
  readonly unknown: Action;
  readonly serverRequests: { readonly elicitation: Action; readonly sampling: Action; readonly roots: Action };
}

export interface Limits {
  readonly rate: readonly RateLimit[];
  readonly concurrency: Concurrency;
  readonly maxRequestBytes?: number;
  readonly maxResponseBytes?: number;
  readonly callTimeoutMs?: number;
}

export interface RateLimit {
  readonly name: string;
  readonly per: 'Caller' | 'CallerAndTool' | 'Server';
  readonly requests: number;
  readonly windowMs: number;
  /** How many may come at once. */
  readonly burst: number;
  /** Absent: every request counts. Present: calls of these tools. */
  readonly tools?: readonly string[];
}

export interface Concurrency {
  readonly perCaller?: number;
  readonly total?: number;
  readonly streamsPerCaller?: number;
}

export type AuditLevel = 'None' | 'Metadata' | 'Arguments';

export interface Audit {
  readonly level: AuditLevel;
  /** JSON Pointers; `*` is every element, `**` any depth. */
  readonly redact: readonly string[];
  /** Block: destructive calls are refused while the record cannot be written. Drop: they pass and the gap is recorded. */
  readonly onFailure: 'Block' | 'Drop';
}
