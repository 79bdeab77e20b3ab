import type { Authentication as ServerAuthentication } from '../api/authentication.ts';
import { printable } from '../mcp/excerpt.ts';
import type { Hints } from '../mcp/inventory.ts';
import type { Pins, Rule, Subject, ValidPolicy } from '../mcp/policy/bundle.ts';
import { type Dialect, globMatcher } from '../mcp/policy/glob.ts';
import { isNormalUri, templateCanMatch } from '../mcp/policy/uri.ts';

/** What a server is known to have. Absent lists are not known, and nothing is said about them. */
export interface KnownObjects {
  readonly tools?: readonly KnownTool[];
  readonly prompts?: readonly string[];
  readonly resources?: { readonly uris: readonly string[]; readonly templates: readonly string[] };
}

interface KnownTool {
  readonly name: string;
  readonly hints: Hints;
  readonly digest?: string;
}

/** What is accepted but probably not meant, in words for `status.warnings`; about one policy and one server. */
export function warnings(
  policy: ValidPolicy,
  server: string,
  known: KnownObjects,
  callers: ServerAuthentication,
  pins: Pins | undefined,
  now: number,
): readonly string[] {
  return [
    ...changes(policy, server, known, pins),
    ...policy.access.overrides.flatMap(({ tools }, at) => unmatched(`access.overrides[${at}]`, 'tool', tools, toolNames(known), server)),
    ...policy.limits.rate.flatMap(({ name, tools = [] }) => unmatched(`limit ${name}`, 'tool', tools, toolNames(known), server)),
    ...policy.rules.flatMap((rule) => ruleWarnings(rule, server, known, callers, now)),
    ...contradictions(policy, server, known),
  ];
}

function ruleWarnings(rule: Rule, server: string, known: KnownObjects, callers: ServerAuthentication, now: number): readonly string[] {
  const where = `rule ${rule.name}`;
  return [
    ...(rule.notAfter !== undefined && now > rule.notAfter ? [`${where}: expired at ${new Date(rule.notAfter).toISOString()}`] : []),
    ...unmatched(where, 'tool', rule.tools ?? [], toolNames(known), server),
    ...unmatched(where, 'prompt', rule.prompts ?? [], known.prompts, server),
    ...(rule.resources ?? []).flatMap((glob) => resourceWarnings(where, glob, server, known)),
    ...(rule.subjects ?? []).flatMap((subject) => subjectWarnings(where, subject, server, callers)),
  ];
}

const toolNames = ({ tools }: KnownObjects): readonly string[] | undefined => tools?.map(({ name }) => name);

function unmatched(
  where: string,
  what: string,
  globs: readonly string[],
  names: readonly string[] | undefined,
  server: string,
): readonly string[] {
  if (names === undefined) return [];
  const dead = globs.filter((glob) => glob !== '*' && !matchesAny(glob, 'name', names));
  return dead.map((glob) => `${where}: pattern ${printable(glob, 128)} matches no ${what} of ${server}`);
}

const matchesAny = (glob: string, dialect: Dialect, texts: readonly string[]): boolean => texts.some(globMatcher(glob, dialect));

/** URIs that are not in normal form are refused, so a pattern that has no normal one can never match. */
function resourceWarnings(where: string, glob: string, server: string, { resources }: KnownObjects): readonly string[] {
  if (!glob.startsWith('*') && !isNormalUri(glob.replaceAll(/\*+/gu, 'x'))) {
    return [`${where}: pattern ${printable(glob, 128)} can match no URI in normal form`];
  }
  if (resources === undefined || glob === '**') return [];
  const alive = matchesAny(glob, 'path', resources.uris) || resources.templates.some((template) => templateCanMatch(glob, template));
  return alive ? [] : [`${where}: pattern ${printable(glob, 128)} matches no resource of ${server}`];
}

/** Subjects that no caller of this server can be. */
function subjectWarnings(where: string, subject: Subject, server: string, callers: ServerAuthentication): readonly string[] {
  const { type, serviceAccounts, jwt = [], apiKeys } = callers;
  const { jwt: token, serviceAccount, user, authenticated } = subject;
  if (type !== 'Guard') {
    const named = token !== undefined || serviceAccount !== undefined || user !== undefined || authenticated === true;
    return named ? [`${where}: ${server} has authentication type ${type}, so that all its callers are anonymous here`] : [];
  }
  return [
    ...(token !== undefined && !jwt.some(({ issuer }) => issuer === token.issuer)
      ? [`${where}: ${server} takes no tokens of issuer ${printable(token.issuer, 256)}`]
      : []),
    ...(serviceAccount !== undefined && serviceAccounts === undefined ? [`${where}: ${server} takes no tokens of ServiceAccounts`] : []),
    ...(user !== undefined && apiKeys === undefined ? [`${where}: ${server} takes no API keys`] : []),
  ];
}

function contradictions({ access }: ValidPolicy, server: string, { tools = [] }: KnownObjects): readonly string[] {
  if (access.trustAnnotations === 'Never') return [];
  return tools
    .filter(({ hints }) => hints.readOnly === true && hints.destructive === true)
    .filter(({ name }) => !access.overrides.some((override) => override.tools.some((glob) => globMatcher(glob, 'name')(name))))
    .map(({ name }) => `tool ${printable(name, 128)} of ${server} calls itself read-only and destructive; it counts as Destructive`);
}

/** Tools that are not what was pinned, and what that means until somebody approves them. */
function changes({ pinning }: ValidPolicy, server: string, { tools = [] }: KnownObjects, pins: Pins | undefined): readonly string[] {
  if (pinning === 'Off' || pins === undefined) return [];
  const consequence = pinning === 'Block' ? 'calls are refused' : 'its hints do not count';
  return tools
    .filter(({ name, digest }) => digest !== undefined && Object.hasOwn(pins.tools, name) && pins.tools[name]?.includes(digest) === false)
    .map(({ name }) => `tool ${printable(name, 128)} of ${server} changed since it was pinned: until it is approved, ${consequence}`);
}
