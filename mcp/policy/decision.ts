import type { ToolClass } from '../inventory.ts';
import type { AuditLevel, HiddenAnswer, Pinning, Tier } from './bundle.ts';

/** Why a request was refused. Part of the API: audit records, metrics and callers see these words. */
export const DenyCode = {
  /** A Deny rule without argument tests matches. */
  PolicyRule: 'POLICY_RULE',
  /** Other arguments would be allowed: a Deny rule's tests hold, or those of every Allow rule fail. */
  Argument: 'ARGUMENT',
  /** The tool's class is above `maximumClass`. */
  Class: 'CLASS',
  /** The definition changed since it was pinned, under `pinning: Block`. */
  ToolChanged: 'TOOL_CHANGED',
  /** No rule allows it and `defaultAction` is Deny. */
  NotAllowed: 'NOT_ALLOWED',
  /** Nothing but scopes of the token is missing. */
  Scope: 'SCOPE',
  /** The server has no such tool, prompt or resource. */
  NotFound: 'NOT_FOUND',
  /** The URI is not in normal form, so that policy and server could read it differently. */
  UriNotNormal: 'URI_NOT_NORMAL',
  Method: 'METHOD',
  ServerRequest: 'SERVER_REQUEST',
  RateLimited: 'RATE_LIMITED',
  Concurrency: 'CONCURRENCY',
  /** A policy is required, or the ambient posture is Deny, and none selects the server. */
  PolicyMissing: 'POLICY_MISSING',
  /** The policy could not be evaluated. */
  PolicyError: 'POLICY_ERROR',
} as const;

export type DenyCode = (typeof DenyCode)[keyof typeof DenyCode];

/** Which form a refusal takes on the wire. */
export type Answer =
  /** -32602, byte-equal to that for an object that does not exist. */
  | 'NotFound'
  /** A result with `isError`, or an error that says why. */
  | 'Refused'
  /** -32601: the method as such. */
  | 'Method'
  /** 403 `insufficient_scope` with `scopes`. */
  | 'Challenge';

export type ClassSource = 'override' | 'hint' | 'default';

/** `match`: a trusted digest. `changed`: pinned, but with others. `unpinned`: not among the pins. `missing`: there are no pins at all. */
export type PinState = 'match' | 'changed' | 'unpinned' | 'missing';

/** Which rule of which policy decided. Everything is absent where none did. */
export interface Origin {
  /** `namespace/name`. */
  readonly policy?: string;
  readonly rule?: string;
  readonly generation?: number;
  readonly tier?: Tier | 'ambient';
}

export interface Reason extends Origin {
  readonly code: DenyCode;
  /** One sentence for the caller; names no claim and quotes no rule but its own `message`. */
  readonly message: string;
}

/** What is known of the object, for the audit record. Of two tiers the more dangerous class. */
export interface ObjectFacts {
  readonly class?: ToolClass;
  readonly classSource?: ClassSource;
  readonly pin?: PinState;
}

export interface Allowed extends Origin, ObjectFacts {
  readonly effect: 'allow';
  readonly code: 'ALLOWED';
  /** What the policies in `mode: Audit` would have refused. */
  readonly wouldDeny?: Reason;
}

export interface Denied extends Reason, ObjectFacts {
  readonly effect: 'deny';
  readonly answer: Answer;
  /** True when lists show the object to this caller. */
  readonly visible: boolean;
  /** With `Challenge`: all scopes that the token needs. */
  readonly scopes?: readonly string[];
  /** After how long a retry can succeed, milliseconds. */
  readonly retryAfterMs?: number;
}

export type Decision = Allowed | Denied;

/** What the guard obeys besides single decisions: the merge of both tiers. */
export interface Settings {
  readonly hiddenAnswer: HiddenAnswer;
  readonly pinning: Pinning;
  readonly tasks: 'BoundToCaller' | 'Deny';
  readonly audit: { readonly level: AuditLevel; readonly redact: readonly string[]; readonly onFailure: 'Block' | 'Drop' };
  readonly maxRequestBytes?: number;
  readonly maxResponseBytes?: number;
  readonly callTimeoutMs?: number;
}

interface MessageFacts {
  readonly message?: string | undefined;
  readonly class?: ToolClass | undefined;
  readonly maximumClass?: ToolClass | undefined;
  readonly method?: string | undefined;
  readonly limit?: string | undefined;
}

const NO_RETRY = 'Retrying will not help.';

/** The caller's words for each code: factual, and whether a retry can help. */
const TEXTS: Record<DenyCode, (facts: MessageFacts) => string> = {
  POLICY_RULE: ({ message }) => `Refused by policy: ${message ?? 'a rule forbids it.'} ${NO_RETRY}`,
  ARGUMENT: ({ message }) =>
    `Refused by policy: ${message ?? 'not with these arguments.'} Retrying with the same arguments will not help; other arguments may be allowed.`,
  CLASS: (facts) => `Refused by policy: this call counts as ${facts.class}, at most ${facts.maximumClass} is allowed. ${NO_RETRY}`,
  TOOL_CHANGED: () => `Refused by policy: the definition of this tool changed and has not been approved yet. ${NO_RETRY}`,
  NOT_ALLOWED: () => `Refused by policy: no rule allows it. ${NO_RETRY}`,
  SCOPE: () => 'Refused by policy: the token lacks a scope. Retry with a token that has it.',
  NOT_FOUND: () => 'Not found.',
  URI_NOT_NORMAL: () => 'Refused by policy: the URI is not in normal form. Retry with its normal form.',
  METHOD: ({ method }) => `Refused by policy: method ${method} is not allowed here. ${NO_RETRY}`,
  SERVER_REQUEST: ({ method }) => `Refused by policy: the server may not ask for ${method} here. ${NO_RETRY}`,
  RATE_LIMITED: ({ limit }) => `Refused by policy: the rate limit ${limit} is used up. Retry later.`,
  CONCURRENCY: () => 'Refused by policy: too many calls at once. Retry when one has ended.',
  POLICY_MISSING: () => `Refused by policy: no policy selects this server. ${NO_RETRY}`,
  POLICY_ERROR: () => `Refused: the policy could not be evaluated. ${NO_RETRY}`,
};

export function denyMessage(code: DenyCode, facts: MessageFacts = {}): string {
  return TEXTS[code](facts);
}
