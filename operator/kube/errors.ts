/** What a failed request means to its caller. The names are the API server's `Status.reason` where there is one. */
export type KubeErrorCode =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Expired'
  | 'Invalid'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'TooManyRequests'
  | 'InternalError'
  | 'ServiceUnavailable'
  | 'Timeout'
  /** No answer: refused, reset, half-open, TLS. Whether the request took effect is unknown. */
  | 'Network'
  /** Held back by the fence: this process may no longer write. Nothing was sent. */
  | 'Fenced'
  | 'Unknown';

/** `Status` of meta/v1, as the API server answers failures and ends watches. */
export interface Status {
  readonly kind?: 'Status';
  readonly status?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly name?: string;
    readonly kind?: string;
    /** Seconds. */
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];
  };
}

export interface KubeErrorOptions extends ErrorOptions {
  /** HTTP status; 0 when there was no answer. */
  readonly status?: number;
  readonly details?: Status['details'];
  /** Milliseconds, from `Retry-After`. */
  readonly retryAfter?: number | undefined;
}

/** A request that the API server refused or that never reached it. `message` is the server's own where it gave one. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly code: KubeErrorCode;
  readonly status: number;
  readonly details: Status['details'];
  readonly retryAfter: number | undefined;

  constructor(code: KubeErrorCode, message: string, { status = 0, details, retryAfter, ...options }: KubeErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.status = status;
    this.details = details;
    this.retryAfter = retryAfter;
  }
}

/** Whether `error` is a `KubeError` of one of these codes. */
export const isKubeError = (error: unknown, ...codes: readonly KubeErrorCode[]): error is KubeError =>
  error instanceof KubeError && (codes.length === 0 || codes.includes(error.code));

/**
 * Whether a write that named a uid was refused because the name is now free or another object's: 409 in the first case, 422 in
 * the second (seen with 1.35.4).
 */
export const isOtherObject = (error: unknown): error is KubeError =>
  error instanceof KubeError &&
  ((error.code === 'Conflict' && error.message.includes('uid mismatch')) ||
    (error.code === 'Invalid' && error.details?.causes?.some(({ field }) => field === 'metadata.uid') === true));

const BY_STATUS: Readonly<Record<number, KubeErrorCode>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

const BY_REASON: Readonly<Record<string, KubeErrorCode>> = {
  ...Object.fromEntries(Object.values(BY_STATUS).map((code) => [code, code])),
  AlreadyExists: 'AlreadyExists',
  Gone: 'Expired',
  ServerTimeout: 'Timeout',
};

/** The reason decides where it is known, since 409 and 410 stand for two meanings each; otherwise the HTTP status. */
export function codeOf(status: number, reason: string | undefined): KubeErrorCode {
  return (reason !== undefined ? BY_REASON[reason] : undefined) ?? BY_STATUS[status] ?? 'Unknown';
}

/** The error of an answer with HTTP status ≥ 400. `body` need not be a `Status`: proxies answer text. */
export function errorOf(status: number, body: string, what: string, retryAfter?: number): KubeError {
  const parsed = parseStatus(body);
  const message = parsed?.message ?? `${what}: HTTP ${status}${body === '' ? '' : ` ${body.slice(0, 200).trim()}`}`;
  const details = parsed?.details;
  const seconds = details?.retryAfterSeconds;
  return new KubeError(codeOf(status, parsed?.reason), message, {
    status,
    ...(details !== undefined && { details }),
    retryAfter: retryAfter ?? (seconds === undefined || seconds === 0 ? undefined : seconds * 1000),
  });
}

/** The error that ends a watch, from the object of its `ERROR` event. */
export function errorOfStatus(status: Status): KubeError {
  return new KubeError(codeOf(status.code ?? 0, status.reason), status.message ?? 'watch failed', {
    status: status.code ?? 0,
    details: status.details,
  });
}

function parseStatus(body: string): Status | undefined {
  if (!body.startsWith('{')) return undefined;
  try {
    const parsed = JSON.parse(body) as Status;
    return parsed.kind === 'Status' ? parsed : undefined;
  } catch {
    return undefined;
  }
}
