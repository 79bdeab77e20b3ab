import type { Subject } from './bundle.ts';
import type { Caller } from './caller.ts';

/** How a caller stands to the subjects of a rule. */
export interface SubjectMatch {
  readonly allows: boolean;
  /** For Deny rules: as `allows`, and also where the caller's groups are not known. */
  readonly denies: boolean;
  /** All scopes of the entry that would match if the token had them; absent where one matches, or where more than scopes is missing. */
  readonly neededScopes?: readonly string[];
}

export const EVERYONE: SubjectMatch = { allows: true, denies: true };
const NOBODY: SubjectMatch = { allows: false, denies: false };

/** Any entry may match; inside an entry everything must hold. Absent subjects are everyone, an empty list is nobody. */
export function matchSubjects(subjects: readonly Subject[] | undefined, caller: Caller): SubjectMatch {
  if (subjects === undefined) return EVERYONE;
  let allows = false;
  let denies = false;
  let neededScopes: readonly string[] | undefined;
  for (const subject of subjects) {
    const match = matchSubject(subject, caller);
    allows ||= match.allows;
    denies ||= match.denies;
    if (match.neededScopes !== undefined && !(neededScopes !== undefined && comesBefore(neededScopes, match.neededScopes))) {
      ({ neededScopes } = match);
    }
  }
  if (allows) return denies ? EVERYONE : { allows, denies };
  if (neededScopes !== undefined) return { allows, denies, neededScopes };
  return denies ? { allows, denies } : NOBODY;
}

/** Fewer scopes first, then by name, so that the order of subjects does not matter. */
function comesBefore(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length ? a.toSorted().join(' ') < b.toSorted().join(' ') : a.length < b.length;
}

/** One text for all callers that stand alike to a list of subjects. */
export function matchKey(match: SubjectMatch): string {
  if (match === NOBODY) return '-';
  return match === EVERYONE ? '+' : JSON.stringify(match);
}

function matchSubject(subject: Subject, caller: Caller): SubjectMatch {
  if (subject.tunnel !== undefined && caller.tunnel !== subject.tunnel) return NOBODY;
  if (subject.authenticated !== undefined && subject.authenticated !== (caller.type !== 'anonymous')) return NOBODY;
  if (subject.user !== undefined && (caller.type !== 'apiKey' || caller.user !== subject.user)) return NOBODY;
  if (subject.serviceAccount !== undefined && !isServiceAccount(subject.serviceAccount, caller)) return NOBODY;
  return subject.jwt === undefined ? EVERYONE : matchToken(subject.jwt, caller);
}

function isServiceAccount({ namespace, name }: NonNullable<Subject['serviceAccount']>, caller: Caller): boolean {
  return caller.type === 'serviceAccount' && caller.namespace === namespace && (name === '*' || caller.name === name);
}

function matchToken({ issuer, groups, scopes }: NonNullable<Subject['jwt']>, caller: Caller): SubjectMatch {
  if (caller.type !== 'jwt' || caller.issuer !== issuer) return NOBODY;
  const inGroup = groups.length === 0 || (caller.groups?.some((group) => groups.includes(group)) ?? false);
  const groupUnknown = groups.length > 0 && caller.groups === undefined;
  const hasScopes = scopes.every((scope) => caller.scopes.includes(scope));
  if (inGroup) return hasScopes ? EVERYONE : { allows: false, denies: false, neededScopes: scopes };
  return groupUnknown && hasScopes ? { allows: false, denies: true } : NOBODY;
}
