import { printable } from '../../mcp/excerpt.ts';
import type { JsonObject } from '../../mcp/jsonrpc.ts';
import { isTransparent, isValid, type Ambient, type Bundle } from '../../mcp/policy/bundle.ts';
import type { Caller } from '../../mcp/policy/caller.ts';
import type { Decision } from '../../mcp/policy/decision.ts';
import { compile, type Engine, type PolicyObject } from '../../mcp/policy/engine.ts';
import { type Answer, explain as explainRequest, type Explanation } from '../../mcp/policy/explanation.ts';
import { clientMethod, type ObjectType } from '../../mcp/policy/method.ts';
import type { ListedTool } from '../../mcp/tool-list.ts';
import { findRecord, type FoundRecord, recordedCaller } from '../auditlog.ts';
import { admittance, callerOf, callerWords } from '../caller.ts';
import { type Context, type Environment, inCluster, type SharedOptions } from '../context.ts';
import { CommandError, ExitCode } from '../exit.ts';
import { explanationText, recordText, toolTable } from '../explanationtext.ts';
import { inForce, type InForce } from '../inforce.ts';
import { fromManifests } from '../manifests.ts';
import { print } from '../output.ts';
import { findServer } from '../server.ts';
import { assignment, jsonArguments, textOrFile, toolArguments } from '../toolarguments.ts';

export interface ExplainOptions extends SharedOptions {
  readonly tool?: string;
  readonly prompt?: string;
  readonly resource?: string;
  readonly method?: string;
  readonly as?: string;
  readonly groups?: readonly string[];
  readonly scopes?: readonly string[];
  /** One JSON object, `@file`, or `key=value`. */
  readonly args?: readonly string[];
  readonly request?: string;
  readonly filename?: readonly string[];
  readonly inventory?: string;
  readonly operatorNamespace: string;
  readonly ambient: Ambient;
}

/** What is asked, in the words of MCP. */
export interface Question {
  readonly method: string;
  readonly object: { readonly type: ObjectType; readonly name: string } | undefined;
  /** Absent: not known. */
  readonly arguments: JsonObject | undefined;
}

/** The answer to one question, as programs get it. */
export interface Explained extends Partial<Omit<Explanation, 'decision' | 'answer'>> {
  readonly server: string;
  readonly namespace: string;
  /** In the words of `--as`. */
  readonly caller: string;
  readonly method: string;
  readonly object?: Question['object'];
  readonly answer: Answer;
  readonly decision: Decision | { readonly effect: 'deny'; readonly code: 'UNAUTHENTICATED' | 'SCOPE'; readonly message: string };
  /** What the policies in `mode: Audit` would make of it. */
  readonly audited?: Explanation;
  readonly bundle: { readonly digest: string; readonly guards?: InForce['guards'] };
  readonly notes: readonly string[];
}

/** Why a request is allowed or refused. The exit code says which. */
export async function explain(environment: Environment, name: string | undefined, options: ExplainOptions): Promise<void> {
  const { filename = [], request } = options;
  if (filename.length > 0) {
    if (name === undefined || request !== undefined) throw usage('with -f a server is explained: name it, and leave out --request');
    const namespace = options.namespace ?? 'default';
    const { inventory, operatorNamespace, ambient } = options;
    const now = environment.now().getTime();
    const found = await fromManifests({ files: filename, inventory, namespace, server: name, operatorNamespace, ambient, now });
    await answer({ ...environment, output: options.output }, found, options);
    return;
  }
  await inCluster(environment, options, async (context) => {
    if (request !== undefined) await explainRecord(context, name, request, options);
    else if (name === undefined) throw usage('name a server, or a request with --request');
    else await answer(context, await inForce(context.api, await findServer(context.api, context.namespace, name)), options);
  });
}

type Place = Pick<Context, 'terminal' | 'output' | 'now'>;

async function answer(place: Place, found: InForce, options: ExplainOptions): Promise<void> {
  const caller = callerOf(options);
  const question = await questionOf(options);
  const one = explainer(found, caller, place.now().getTime());
  if (question === undefined) {
    const { tools } = found;
    if (tools === undefined) throw new CommandError(ExitCode.NotReady, 'the tools of the server are not known: ask for one with --tool');
    const all = tools.map(({ name }) => one({ method: 'tools/call', object: { type: 'tool', name }, arguments: undefined }));
    print(place.terminal, place.output, {
      data: all,
      names: all.filter(({ answer: said }) => said !== 'refused').map(({ object }) => printable(object?.name ?? '')),
      text: () => toolTable(place.terminal, found, callerWords(caller), all),
    });
    return;
  }
  const result = one(question);
  print(place.terminal, place.output, {
    data: result,
    names: [result.answer],
    text: () => explanationText(place.terminal, result),
  });
  end(result.answer);
}

/** The answer is also the exit code; nothing went wrong, so nothing is said. */
function end(said: Answer): void {
  if (said === 'refused') throw new CommandError(ExitCode.Denied, '');
  if (said === 'depends') throw new CommandError(ExitCode.Depends, '');
}

/** Decides with the engine that the guards run, after the check of who calls. */
function explainer(force: InForce, caller: Caller, now: number): (question: Question) => Explained {
  const { bundle, tools, digest, guards, notes } = force;
  const admitted = admittance(bundle.authentication, caller);
  const engine = compile(bundle, { now: () => now });
  const audited = auditing(bundle, now);
  return ({ method, object, arguments: args }) => {
    const base = {
      server: bundle.server.name,
      namespace: bundle.server.namespace,
      caller: callerWords(caller),
      method,
      ...(object === undefined ? {} : { object }),
      bundle: { digest, ...(guards === undefined ? {} : { guards }) },
    };
    if (!admitted.admitted) {
      const { code, message } = admitted;
      return { ...base, answer: 'refused', decision: { effect: 'deny', code, message }, tiers: [], notes };
    }
    if (SERVER_REQUESTS.has(method)) {
      const decision = engine.serverRequest(method);
      return { ...base, answer: decision.effect === 'allow' ? 'allowed' : 'refused', decision, tiers: [], notes };
    }
    const known = object === undefined ? undefined : knownObject(object, tools);
    const request = {
      caller: admitted.caller,
      method,
      ...(known === undefined ? {} : { object: known }),
      ...(args === undefined ? {} : { arguments: args }),
    };
    return {
      ...base,
      ...seenThrough(bundle, explainRequest(engine, request, now)),
      ...(audited === undefined ? {} : { audited: explainRequest(audited, request, now) }),
      notes: [
        ...notes,
        ...(admitted.note === undefined ? [] : [admitted.note]),
        ...(known !== undefined && known.type !== 'tool' ? [`that the server has this ${known.type} is taken for granted`] : []),
      ],
    };
  };
}

const SERVER_REQUESTS = new Set(['elicitation/create', 'sampling/createMessage', 'roots/list']);

/** Without an enforced policy the server itself says what it does not have. */
function seenThrough({ policy }: Bundle, explanation: Explanation): Explanation {
  if (explanation.decision.code !== 'NOT_FOUND' || !isTransparent(policy)) return explanation;
  return { ...explanation, answer: 'allowed', decision: { effect: 'allow', code: 'ALLOWED' } };
}

/** An engine for which the policies in `mode: Audit` were enforced; `undefined` without such. */
function auditing(bundle: Bundle, now: number): Engine | undefined {
  const { policy } = bundle;
  if (!policy.policies.some((each) => isValid(each) && each.mode === 'Audit')) return undefined;
  const policies = policy.policies.map((each) => (isValid(each) ? { ...each, mode: 'Enforce' as const } : each));
  return compile({ ...bundle, policy: { ...policy, policies } }, { now: () => now });
}

const NO_HINTS = { readOnly: undefined, destructive: undefined, idempotent: undefined, openWorld: undefined };

function knownObject({ type, name }: NonNullable<Question['object']>, tools: readonly ListedTool[] | undefined): PolicyObject {
  if (type !== 'tool') return { type, name, known: true };
  if (tools === undefined) return { type, name, facts: { hints: NO_HINTS, digest: '' } };
  const facts = tools.find((tool) => tool.name === name);
  return facts === undefined ? { type, name } : { type, name, facts };
}

const METHODS = { tool: 'tools/call', prompt: 'prompts/get', resource: 'resources/read', resourceTemplate: 'completion/complete' } as const;

/** `undefined`: all tools. Throws `CommandError` `Usage`. */
async function questionOf({ tool, prompt, resource, method, args = [] }: ExplainOptions): Promise<Question | undefined> {
  const named = (
    [
      ['tool', tool],
      ['prompt', prompt],
      ['resource', resource],
    ] as const
  ).flatMap(([type, name]) => (name === undefined ? [] : [{ type, name }]));
  if (named.length > 1) throw usage('ask for one tool, prompt or resource at a time');
  const [object] = named;
  if (object === undefined && method === undefined) {
    if (args.length > 0) throw usage('--args are those of a --tool or --prompt');
    return undefined;
  }
  const asked = method ?? METHODS[object?.type ?? 'tool'];
  const rule = clientMethod(asked);
  const wanted = rule?.kind === 'object' ? rule.types : [];
  if (wanted.length > 0 ? object === undefined || !wanted.includes(object.type) : object !== undefined) {
    throw usage(
      wanted.length > 0 ? `${asked} is about a ${wanted.join(' or ')}: name it` : `${asked} is about no tool, prompt or resource`,
    );
  }
  return { method: asked, object, arguments: await argumentsOf(args) };
}

/** `{…}`, `@file`, or `key=value` with JSON where it is JSON. No arguments at all are written `{}`. */
async function argumentsOf(args: readonly string[]): Promise<JsonObject | undefined> {
  const [first] = args;
  if (first === undefined) return undefined;
  if (first.startsWith('{') || first.startsWith('@')) {
    if (args.length > 1) throw usage('--args: one JSON object, or key=value…');
    return jsonArguments('--args', await textOrFile('--args', first));
  }
  return toolArguments(args.map(assignment), undefined);
}

const usage = (message: string): CommandError => new CommandError(ExitCode.Usage, message);

/** What a guard recorded of a request, and what would be decided now. */
async function explainRecord(context: Context, name: string | undefined, request: string, options: ExplainOptions): Promise<void> {
  const found = await findRecord(context.api, context.namespace, name, request, context.signal);
  const now = await decidedNow(context, found, options);
  const { decision } = found.record;
  print(context.terminal, context.output, {
    data: { pod: found.pod, audit: found.record, ...(now === undefined ? {} : { now }) },
    names: [decision],
    text: () => recordText(context.terminal, found, now),
  });
  if (decision === 'deny') end('refused');
}

async function decidedNow({ api, now }: Context, { record }: FoundRecord, options: ExplainOptions): Promise<Explained | undefined> {
  const caller = recordedCaller(record);
  const { object, method, server } = record;
  // Requests that came to nothing before they were read have no caller, method or object; nor can more be said of them.
  if (caller === undefined || method === '' || (clientMethod(method)?.kind === 'object' && object === undefined)) return undefined;
  const force = await inForce(api, await findServer(api, server.namespace, server.name));
  const about = object === undefined ? undefined : { type: object.type, name: object.name };
  const scopes = options.scopes === undefined || caller.type !== 'jwt' ? {} : { scopes: options.scopes };
  const question = { method, object: about, arguments: await argumentsOf(options.args ?? []) };
  return explainer(force, { ...caller, ...scopes }, now().getTime())(question);
}
