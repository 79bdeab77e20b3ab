import { isObject, type Json, type JsonObject } from './jsonrpc.ts';

/** `Legacy`: `initialize` and sessions, up to 2025-11-25. `Modern`: stateless, `server/discover`, from 2026-07-28. */
export type Era = 'Legacy' | 'Modern';

/** Newest first. */
export const modernRevisions = ['2026-07-28'] as const;
/** Newest first. 2024-10-07 was never final, but the first SDKs negotiate it. */
export const legacyRevisions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'] as const;

export const newestModern: string = modernRevisions[0];
export const newestLegacy: string = legacyRevisions[0];

export function isLegacy(revision: string): boolean {
  return (legacyRevisions as readonly string[]).includes(revision);
}

/** Error codes that only a modern server sends (specification 2026-07-28, basic, Error Codes). */
export const errorCodes = {
  methodNotFound: -32601,
  invalidParams: -32602,
  headerMismatch: -32020,
  missingClientCapability: -32021,
  unsupportedProtocolVersion: -32022,
} as const;

const modernErrors: readonly number[] = [
  errorCodes.headerMismatch,
  errorCodes.missingClientCapability,
  errorCodes.unsupportedProtocolVersion,
];

/** What came back for `server/discover`; `Other` is anything but an answer in JSON-RPC. */
export type DiscoverAnswer =
  | { readonly kind: 'Result'; readonly result: JsonObject }
  | { readonly kind: 'Error'; readonly code: number; readonly data: Json | undefined }
  | { readonly kind: 'Other' };

export type EraVerdict =
  /** Speak this modern revision. */
  | { readonly era: 'Modern'; readonly revision: string }
  /** Try `initialize`. */
  | { readonly era: 'Legacy' }
  /** A modern server, but with no revision in common or an error that is not about revisions. */
  | { readonly era: 'None'; readonly supported: readonly string[] };

/**
 * Decides the era by the answer to `server/discover` (specification 2026-07-28, basic/versioning and Backward Compatibility): a recognised modern
 * error means a modern server, whatever else is no discover result means `initialize`.
 */
export function eraOf(answer: DiscoverAnswer): EraVerdict {
  if (answer.kind === 'Other') return { era: 'Legacy' };
  if (answer.kind === 'Result') {
    const supported = revisions(answer.result['supportedVersions']);
    return supported === undefined ? { era: 'Legacy' } : common(supported);
  }
  if (!modernErrors.includes(answer.code)) return { era: 'Legacy' };
  const supported = isObject(answer.data) ? revisions(answer.data['supported']) : undefined;
  return answer.code === errorCodes.unsupportedProtocolVersion && supported !== undefined
    ? common(supported)
    : { era: 'None', supported: supported ?? [] };
}

function common(supported: readonly string[]): EraVerdict {
  const revision = modernRevisions.find((candidate) => supported.includes(candidate));
  if (revision !== undefined) return { era: 'Modern', revision };
  return supported.some(isLegacy) ? { era: 'Legacy' } : { era: 'None', supported };
}

/** The revisions that a server lists, as far as they look like some; at most 16, as `status.server` holds. */
export function revisions(value: Json | undefined): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return (value as readonly Json[])
    .filter((entry): entry is string => typeof entry === 'string' && /^[\w.-]{1,32}$/.test(entry))
    .slice(0, 16);
}
