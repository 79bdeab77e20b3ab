/** Who calls, as the guard has verified it. Never from what a client says of itself. */
export type Caller = Identity & {
  /** The MCPTunnel through which the request arrived. */
  readonly tunnel?: string;
  /** Address of the nearest trusted hop. It only tells anonymous callers apart for limits. */
  readonly source?: string;
};

export type Identity =
  | { readonly type: 'anonymous' }
  | { readonly type: 'serviceAccount'; readonly namespace: string; readonly name: string }
  | { readonly type: 'apiKey'; readonly user: string }
  | {
      readonly type: 'jwt';
      readonly issuer: string;
      readonly subject: string;
      /** Absent: the token does not say which (Entra's `_claim_names`); then groups allow nothing, and Deny rules for groups hold. */
      readonly groups?: readonly string[];
      readonly scopes: readonly string[];
    };

/** One string per caller, for limits and sessions. Two callers never share one: every part is quoted. */
export function callerKey(caller: Caller): string {
  return JSON.stringify([caller.type, ...identityParts(caller), caller.tunnel ?? null]);
}

function identityParts(caller: Caller): readonly (string | null)[] {
  switch (caller.type) {
    case 'anonymous':
      return [caller.source ?? null];
    case 'serviceAccount':
      return [caller.namespace, caller.name];
    case 'apiKey':
      return [caller.user];
    case 'jwt':
      return [caller.issuer, caller.subject];
  }
}
