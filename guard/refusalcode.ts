/** Why a request failed without a policy having decided it; the codes of policies are `DenyCode`. Part of the API: audit records and metrics have these words. */
export const RefusalCode = {
  /** The guard has no valid bundle yet. */
  NotReady: 'NOT_READY',
  /** Too many requests, or bodies too large together, at once. */
  Overload: 'OVERLOAD',
  /** The pod goes, and no other one could be reached. */
  Draining: 'DRAINING',
  /** A page of another host, in a browser. */
  Origin: 'ORIGIN',
  HttpMethod: 'HTTP_METHOD',
  /** Two readers could take the request differently, or it is too large. */
  Malformed: 'MALFORMED',
  Unauthenticated: 'UNAUTHENTICATED',
  /** The session is unknown, or of another caller. */
  Session: 'SESSION',
  /** An answer to a question that the server did not ask. */
  Unsolicited: 'UNSOLICITED',
  /** A task that is not the caller's, or that it may no longer see. */
  Task: 'TASK',
  /** A request state that was not given to this caller, for this very call. */
  RequestState: 'REQUEST_STATE',
  /** Audit records cannot be written, and `audit.onFailure` is Block. */
  AuditUnavailable: 'AUDIT_UNAVAILABLE',
  /** The server failed, not the request. */
  Upstream: 'UPSTREAM',
  /** The request was on its way to another guard of the server, which failed, or the caller left. */
  Handover: 'HANDOVER',
  /** A bug of the guard. */
  GuardError: 'GUARD_ERROR',
} as const;

export type RefusalCode = (typeof RefusalCode)[keyof typeof RefusalCode];
