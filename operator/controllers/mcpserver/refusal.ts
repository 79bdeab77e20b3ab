import { isKubeError, KubeError, type KubeErrorCode } from '../../kube/errors.ts';
import { NameConflict } from '../../runtime/ownership.ts';
import { WaitingError } from '../../runtime/reconcile.ts';
import type { Violation } from './acceptance.ts';
import { oneLine } from './quote.ts';

/**
 * What it says about the spec that the API server refused a child; `undefined` when it says nothing about it: a broken connection, a conflict with
 * another writer, a right that the operator itself lacks.
 */
export function refusal(error: unknown): Violation | undefined {
  if (error instanceof NameConflict) {
    const holder = error.heldBy === undefined ? 'somebody else' : error.heldBy;
    return {
      reason: 'NameConflict',
      message: `${error.kind} ${error.key} exists and belongs to ${holder}; it was not touched. Rename this server, or remove that object`,
    };
  }
  if (isKubeError(error, 'Invalid', 'BadRequest', 'RequestEntityTooLarge')) {
    return { reason: 'InvalidSpec', message: `The API server refused what this spec asks for: ${oneLine(error.message)}` };
  }
  const missing = isKubeError(error, 'NotFound') ? /^namespaces "([^"]*)" not found/.exec(error.message)?.[1] : undefined;
  if (missing !== undefined) {
    return { reason: 'ReferenceNotFound', message: `Namespace ${missing} does not exist (spec.kubernetesAccess.namespaces)` };
  }
  if (!isKubeError(error, 'Forbidden') || lacksRight(error.message) || isTerminating(error.message)) return undefined;
  return /attempting to grant RBAC permissions/.test(error.message)
    ? {
        reason: 'AccessNotGrantable',
        message: `The API server refused to grant what spec.kubernetesAccess asks for: ${oneLine(error.message)}`,
      }
    : { reason: 'InvalidSpec', message: `This cluster forbids what this spec asks for: ${oneLine(error.message)}` };
}

/** How often in a row something must fail that may pass by itself, before people hear of it. */
const PATIENCE = 3;

/**
 * What to tell of a failure that somebody else than the user must mend; `undefined` for what passes by itself. `times`: how often it happened in a
 * row, this one included.
 */
export function ownFailure(error: unknown, times: number): string | undefined {
  if (isKubeError(error, 'Forbidden') && lacksRight(error.message)) return `The operator lacks a right: ${oneLine(error.message)}`;
  const answered = error instanceof KubeError && !UNANSWERED.includes(error.code);
  if (!answered || times < PATIENCE) return undefined;
  return `The API server fails: ${oneLine(error.message)}`;
}

/** The API server said nothing: it may be a matter of this process alone, and status could not be written either. */
const UNANSWERED: readonly KubeErrorCode[] = ['Network', 'Fenced'];

/** What is waited for rather than tried again and again; any other error as it is. The server goes with its namespace. */
export const awaited = (error: unknown): unknown =>
  isKubeError(error, 'Forbidden') && isTerminating(error.message)
    ? new WaitingError('the namespace is being deleted', TERMINATION_RETRY, { cause: error })
    : error;

const TERMINATION_RETRY = 10_000;

/** RBAC's own words about the operator; quotas, admission plugins and policies use others. */
const lacksRight = (message: string): boolean => /is forbidden: User "[^"]*" cannot/.test(message);

/** The namespace is on its way out, and the server with it. */
const isTerminating = (message: string): boolean => message.includes('being terminated');
