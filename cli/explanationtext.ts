import { printable } from '../mcp/excerpt.ts';
import type { ClassSource, Decision, PinState } from '../mcp/policy/decision.ts';
import type { Answer, RuleExplanation, TierExplanation } from '../mcp/policy/explanation.ts';
import { clientMethod } from '../mcp/policy/method.ts';
import type { FoundRecord } from './auditlog.ts';
import type { Explained } from './commands/explain.ts';
import type { InForce } from './inforce.ts';
import { table } from './table.ts';
import { oneLine, type Style, type Terminal } from './terminal.ts';

const COLOURS: Readonly<Record<Answer, Style>> = { allowed: 'green', refused: 'red', depends: 'yellow' };
const WORDS: Readonly<Record<Answer, string>> = { allowed: 'allowed', refused: 'refused', depends: 'depends on the arguments' };

const SOURCES: Readonly<Record<ClassSource, string>> = {
  override: 'set by an override',
  hint: 'by the hints of the server',
  default: "by MCP's defaults, because no hint of the server counts",
};

const PINS: Readonly<Record<PinState, string>> = {
  match: 'as it was pinned',
  changed: 'changed since it was pinned: mcp-fleet tools approve SERVER TOOL',
  unpinned: 'not pinned: mcp-fleet tools approve SERVER TOOL',
  missing: 'there are no pins',
};

const OUTCOMES: Readonly<Record<RuleExplanation['outcome'], string>> = {
  matches: 'matches',
  object: 'is about something else',
  expired: 'has expired',
  subject: 'is about other callers',
  scope: 'lacks only scopes of the token',
  arguments: 'does not match: ',
  depends: 'matches if ',
  error: 'cannot be evaluated: ',
};

/** One answer for people, from the sentence that matters to the rules one by one. */
export function explanationText(terminal: Terminal, explained: Explained): string {
  const { decision, answer, tiers = [], server } = explained;
  const lines = [
    `${terminal.style(COLOURS[answer], WORDS[answer])}: ${subject(explained)} of ${server} in namespace ${explained.namespace}, by ${explained.caller}`,
    `  ${why(explained)}`,
    ...(answer === 'refused' && 'answer' in decision ? [`  ${seen(decision)}`] : []),
    ...auditedLines(explained),
    ...tiers.flatMap((tier) => tierLines(tier, tiers.length > 1, server)),
    `  Bundle   ${explained.bundle.digest.slice('sha256:'.length, 'sha256:'.length + 12)}${guards(explained)}`,
    ...explained.notes.map((note) => `  Note     ${note}`),
  ];
  const rules = tiers.flatMap((tier) => tier.rules.map((rule) => ruleRow(tier, rule)));
  return `${lines.map(oneLine).join('\n')}\n${rules.length === 0 ? '' : `\n${table(['tier', 'policy', 'rule', 'effect', 'says'], rules)}`}`;
}

const subject = ({ method, object }: Explained): string =>
  object === undefined ? method : `${method} ${object.type === 'resource' ? printable(object.name, 512) : printable(object.name, 128)}`;

const guards = ({ bundle }: Explained): string =>
  bundle.guards === undefined ? '' : `, in force in ${bundle.guards.current} of ${bundle.guards.total} guards`;

/** Why, in a sentence that names policy, rule and setting. */
function why({ decision, answer, method, tiers = [] }: Explained): string {
  if (answer === 'depends') return 'Some calls are allowed and others refused: see the tests of the rules, and try with --args';
  const { code } = decision;
  const origin = 'policy' in decision || 'tier' in decision ? decision : undefined;
  const policy = origin?.policy === undefined ? undefined : `policy ${origin.policy} (generation ${origin.generation})`;
  const rule = origin?.rule === undefined ? undefined : `rule ${origin.rule} of ${policy}`;
  const tier = tiers.find((one) => one.tier === origin?.tier);
  switch (code) {
    case 'ALLOWED':
      if (rule !== undefined) return `Allowed by ${rule}`;
      if (policy !== undefined) return `No rule refuses it, and ${policy} has defaultAction: Allow`;
      if (clientMethod(method)?.kind === 'list') return 'Lists are always answered: they have what the caller may use';
      return origin?.tier === 'ambient'
        ? 'No policy is enforced here, and the ambient posture of the operator lets it pass'
        : 'Nothing refuses it';
    case 'POLICY_RULE':
      return `Refused by Deny ${rule}`;
    case 'ARGUMENT': {
      const deciding = tier?.rules.find(({ decides }) => decides);
      return deciding?.effect === 'Deny'
        ? `Refused by Deny ${rule}, for these arguments`
        : `Refused: ${rule} allows it with other arguments only`;
    }
    case 'CLASS': {
      const tool = tier?.tool;
      return `Refused: it counts as ${tool?.class}, and ${policy ?? 'the ambient posture'} allows at most ${tier?.maximumClass}`;
    }
    case 'TOOL_CHANGED':
      return `Refused: its definition changed since it was pinned, and ${policy} has pinning: Block`;
    case 'NOT_ALLOWED':
      return `Refused: no rule allows it, and ${policy} has defaultAction: Deny`;
    case 'SCOPE':
      return 'scopes' in decision ? `Refused: the token needs scopes ${(decision.scopes ?? []).join(', ')}, by ${rule}` : decision.message;
    case 'NOT_FOUND':
      return 'Refused: the server lists nothing of that name';
    case 'UNAUTHENTICATED':
      return `Refused before any policy: ${decision.message}`;
    case 'POLICY_MISSING':
      return 'Refused: no policy selects the server, and policy.required or the ambient posture asks for one';
    case 'POLICY_ERROR':
      return rule === undefined && policy === undefined
        ? 'Refused: it could not be evaluated'
        : `Refused: ${rule ?? policy} could not be evaluated`;
    case 'METHOD':
    case 'SERVER_REQUEST':
      return 'Refused by the methods of the policies (spec.methods)';
    default:
      return decision.message;
  }
}

/** What the caller gets to see. */
function seen(decision: Extract<Decision, { effect: 'deny' }>): string {
  switch (decision.answer) {
    case 'NotFound':
      return 'The caller is answered as if there were no such thing';
    case 'Refused':
      return `The caller is told: ${decision.message}`;
    case 'Method':
      return 'The caller is told that there is no such method (-32601)';
    case 'Challenge':
      return 'The caller gets 403 insufficient_scope with the scopes to ask for';
  }
}

function auditedLines({ audited, answer }: Explained): readonly string[] {
  if (audited === undefined || audited.answer === answer) return [];
  const { policy, rule, code } = audited.decision;
  const by = [...(policy === undefined ? [] : [` by ${policy}`]), ...(rule === undefined ? [] : [`, rule ${rule}`])].join('');
  const said = audited.answer === 'depends' ? 'it would depend on the arguments' : `it would be refused${by} (${code})`;
  return [`  Audit    if the policies in mode: Audit were enforced, ${said}`];
}

function tierLines(
  { tier, tool, maximumClass, trustAnnotations, setBy, pinning }: TierExplanation,
  several: boolean,
  server: string,
): readonly string[] {
  const head = several ? [`  Tier     ${tier}`] : [];
  if (tool === undefined) return head;
  const by = setBy?.maximumClass === undefined ? '' : ` by ${setBy.maximumClass}`;
  const pin = PINS[tool.pin].replace('SERVER', server).replace(' TOOL', '');
  return [
    ...head,
    `  Class    ${tool.class}${tool.upTo === undefined ? '' : ` up to ${tool.upTo}`}, ${SOURCES[tool.source]} (trustAnnotations: ${trustAnnotations}); at most ${maximumClass}${by}`,
    ...tool.overrides.map(({ policy, class: to, unless }) => `           override of ${policy}: ${[to, ...unless].join('; ')}`),
    `  Pin      ${pin} (pinning: ${pinning})`,
  ];
}

function ruleRow(
  { tier }: TierExplanation,
  { policy = '', rule = '', effect, outcome, test, tests, decides }: RuleExplanation,
): readonly string[] {
  const said = `${OUTCOMES[outcome]}${(tests ?? (test === undefined ? [] : [test])).map((words) => printable(words, 200)).join(' and ')}`;
  return [tier, policy, rule, effect, `${said}${decides ? ' ← decides' : ''}`];
}

/** All tools of a server for one caller. */
export function toolTable(terminal: Terminal, { bundle, notes }: InForce, caller: string, all: readonly Explained[]): string {
  const rows = all.map(({ object, answer, decision, tiers = [], listed, audited }) => {
    const tool = tiers.find((tier) => tier.tool !== undefined && 'tier' in decision && tier.tier === decision.tier)?.tool ?? tiers[0]?.tool;
    const by = 'policy' in decision ? [decision.policy, decision.rule].filter((part) => part !== undefined).join(' ') : '';
    const said = answer === 'refused' && listed !== true ? 'hidden' : answer;
    const would = audited !== undefined && audited.answer !== answer ? ` (audit: ${audited.answer} ${audited.decision.code})` : '';
    return [
      printable(object?.name ?? '', 80),
      `${terminal.style(COLOURS[answer], said)}${would}`,
      answer === 'depends' ? '' : decision.code,
      tool === undefined ? '' : `${tool.class}${tool.upTo === undefined ? '' : `…${tool.upTo}`}`,
      tool?.source ?? '',
      tool?.pin ?? '',
      answer === 'depends' ? '' : by,
    ];
  });
  const head = `Tools of ${bundle.server.name} in namespace ${bundle.server.namespace}, for ${oneLine(caller)}\n\n`;
  const list = rows.length === 0 ? 'It has no tools.\n' : table(['tool', 'answer', 'code', 'class', 'by', 'pin', 'decided by'], rows);
  const said = [...new Set([...notes, ...all.flatMap((one) => one.notes)])];
  return `${head}${list}${said.length === 0 ? '' : `\n${said.map((note) => `Note: ${oneLine(note)}\n`).join('')}`}`;
}

/** What was decided then, and what would be decided now. */
export function recordText(terminal: Terminal, { pod, record }: FoundRecord, now: Explained | undefined): string {
  const { decision, code, method, object, requestId, time, policy, rule, generation, cause, result } = record;
  const facts = [object?.class, object?.classSource, object?.pin].filter((part) => part !== undefined);
  const about = object === undefined ? '' : ` ${printable(object.name)}`;
  const by = `${policy ?? ''}${rule === undefined ? '' : `, rule ${rule}`}${generation === undefined ? '' : ` (generation ${generation})`}`;
  const lines = [
    `${terminal.style(decision === 'deny' ? 'red' : 'green', decision)} (${code}): ${printable(method)}${about}`,
    `  Request  ${printable(requestId)}, at ${time}, in pod ${pod}`,
    `  Caller   ${callerLine(record.caller)}`,
    ...(by === '' ? [] : [`  By       ${by}`]),
    ...(facts.length === 0 ? [] : [`  Class    ${facts.join(', ')}`]),
    ...(cause === undefined ? [] : [`  Cause    ${printable(cause, 512)}`]),
    `  Result   HTTP ${result.status}${result.error === undefined ? '' : `, ${printable(result.error)}`}`,
  ];
  const later =
    now === undefined ? '' : `\nBy what is in force now (the record has no arguments and scopes):\n${explanationText(terminal, now)}`;
  return `${lines.map(oneLine).join('\n')}\n${later}`;
}

function callerLine(caller: FoundRecord['record']['caller']): string {
  if (caller === undefined) return 'nobody who could be recognised';
  const groups = caller.groups === undefined || caller.groups.length === 0 ? '' : ` in groups ${caller.groups.join(', ')}`;
  return `${[caller.type, caller.issuer, caller.subject].filter((part) => part !== undefined).join(' ')}${groups}`;
}
