import { AuditChains } from '../mcp/auditchain.ts';

/** What is wrong with a log, in one sentence each. */
export type Findings = readonly string[];

/** A line of a container's log, as the container wrote it. */
export interface Line {
  readonly stream: string;
  readonly text: string;
}

/** The lines of a log file in the CRI format: `time stream P|F text`, long lines in parts. What was still being written is left out. */
export function criLines(content: string): readonly Line[] {
  const lines: Line[] = [];
  const begun = new Map<string, string>();
  for (const each of content.split('\n').slice(0, -1)) {
    const [, stream, tag, text] = /^\S+ (stdout|stderr) (P|F) (.*)$/.exec(each) ?? [];
    if (stream === undefined || text === undefined) continue;
    const whole = (begun.get(stream) ?? '') + text;
    if (tag === 'P') {
      begun.set(stream, whole);
    } else {
      begun.delete(stream);
      lines.push({ stream, text: whole });
    }
  }
  return lines;
}

/** The audit records of all guards of a run. */
export class Trail {
  readonly #requests = new Map<string, string>();
  readonly #findings: string[] = [];
  #records = 0;
  #boots = 0;

  get records(): number {
    return this.#records;
  }

  get boots(): number {
    return this.#boots;
  }

  get findings(): Findings {
    return this.#findings;
  }

  /** Reads the log of one process of a guard, from its start: a whole chain of records, each of which closes a request that none closed before. */
  add(boot: string, lines: readonly Line[]): void {
    const chain = new AuditChains();
    const output = lines.filter(({ stream }) => stream === 'stdout');
    for (const [index, { text }] of output.entries()) {
      chain.take(text);
      this.#close(requestOf(text), `${boot}, line ${index + 1}`);
    }
    const { records, boots, missing, breaks } = chain.report();
    this.#findings.push(...breaks.map(({ line, problem }) => `${boot}, line ${line}: ${problem}`));
    if (missing > 0) this.#findings.push(`${boot}: ${missing} records were left out`);
    if (records < output.length) this.#findings.push(`${boot}: ${output.length - records} lines of standard output are no audit records`);
    if (boots > 1) this.#findings.push(`${boot}: ${boots} chains in the log of one process`);
    this.#records += records;
    this.#boots += 1;
  }

  #close(request: string | undefined, at: string): void {
    if (request === undefined) return;
    const other = this.#requests.get(request);
    if (other !== undefined) this.#findings.push(`${at}: request ${request} was closed already by ${other}`);
    this.#requests.set(request, at);
  }
}

function requestOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { readonly audit?: { readonly requestId?: string } }).audit?.requestId;
  } catch {
    return undefined;
  }
}

/** Which of these secrets a text holds; tokens of anybody are recognised by their form. */
export function secretsIn(text: string, secrets: readonly string[]): readonly string[] {
  const [token] = TOKEN.exec(text) ?? [];
  return [...secrets.filter((secret) => text.includes(secret)), ...(token === undefined ? [] : [`a token (${token.slice(0, 20)}…)`])];
}

/** A JSON Web Token: two objects in base64url, which begin with `{"`, and a signature. */
const TOKEN = /eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/;
