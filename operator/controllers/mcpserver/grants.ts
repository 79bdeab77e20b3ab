import type { PolicyRule } from '../../kube/wire.ts';

/** One permission: what a rule says for one verb on one thing. */
interface Permission {
  readonly verb: string;
  readonly group?: string;
  readonly resource?: string;
  /** Absent: every object of the kind. */
  readonly name?: string;
  readonly url?: string;
}

/**
 * The first permission of `asked` that `held` does not contain, in words; `undefined` when all of it is covered.
 * The rules are those by which the API server refuses privilege escalation (`k8s.io/component-helpers/auth/rbac/validation`), so that what passes
 * here is accepted there.
 */
export function firstUncovered(asked: readonly PolicyRule[], held: readonly PolicyRule[]): string | undefined {
  for (const rule of asked) {
    const missing = permissions(rule).find((permission) => !held.some((owned) => grants(owned, permission)));
    if (missing !== undefined) return describe(missing);
  }
  return undefined;
}

function permissions(rule: PolicyRule): Permission[] {
  const result: Permission[] = [];
  for (const verb of rule.verbs) {
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const names = rule.resourceNames ?? [];
        if (names.length === 0) result.push({ verb, group, resource });
        for (const name of names) result.push({ verb, group, resource, name });
      }
    }
    for (const url of rule.nonResourceURLs ?? []) result.push({ verb, url });
  }
  return result;
}

function grants(rule: PolicyRule, permission: Permission): boolean {
  if (!includes(rule.verbs, permission.verb)) return false;
  if (permission.url !== undefined) return (rule.nonResourceURLs ?? []).some((pattern) => urlMatches(pattern, permission.url ?? ''));
  return (
    includes(rule.apiGroups, permission.group ?? '') &&
    (rule.resources ?? []).some((pattern) => resourceMatches(pattern, permission.resource ?? '')) &&
    nameMatches(rule.resourceNames ?? [], permission.name)
  );
}

const includes = (list: readonly string[] | undefined, item: string): boolean =>
  (list ?? []).some((entry) => entry === '*' || entry === item);

/** `*` holds subresources too; `* /scale` (without the blank) holds that subresource of every kind. */
function resourceMatches(pattern: string, resource: string): boolean {
  if (pattern === '*' || pattern === resource) return true;
  const slash = resource.indexOf('/');
  return slash >= 0 && pattern === `*${resource.slice(slash)}`;
}

const nameMatches = (names: readonly string[], name: string | undefined): boolean =>
  names.length === 0 || (name !== undefined && names.includes(name));

const urlMatches = (pattern: string, url: string): boolean =>
  pattern === '*' || pattern === url || (pattern.endsWith('*') && url.startsWith(pattern.slice(0, -1)));

function describe({ verb, group, resource, name, url }: Permission): string {
  if (url !== undefined) return `${verb} ${url}`;
  const where = group === '' ? 'the core group' : `group ${group}`;
  return `${verb} ${resource} of ${where}${name === undefined ? '' : ` named ${name}`}`;
}

/** Whether the holder of these rules can write Secrets, or do anything at all: worth a word to whoever binds them. */
export function reachesSecretsOrEverything(rules: readonly PolicyRule[]): boolean {
  return rules.some(
    (rule) =>
      includes(rule.apiGroups, '') &&
      includes(rule.resources, 'secrets') &&
      rule.verbs.some((verb) => ['*', 'create', 'update', 'patch', 'delete', 'deletecollection'].includes(verb)),
  );
}
