import { createHash } from 'node:crypto';

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

interface Entry {
  readonly seq: number;
  readonly prev: string;
  readonly gap?: number;
  readonly requestId: string;
  readonly traceId?: string;
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

  /** Reads the log of one process of a guard, from its start: each record must follow the one before it, and close a request that none closed. */
  add(boot: string, lines: readonly Line[]): void {
    this.#boots += 1;
    let previous = '';
    let seq = 0;
    for (const { stream, text } of lines) {
      if (stream !== 'stdout') continue;
      const entry = auditEntry(text);
      if (entry === undefined) {
        this.#findings.push(`${boot}: no audit record on standard output: ${text.slice(0, 120)}`);
        continue;
      }
      this.#records += 1;
      const at = `${boot}, record ${entry.seq}`;
      if (entry.seq !== seq + 1) this.#findings.push(`${at}: follows record ${seq}`);
      if (entry.prev !== previous) this.#findings.push(`${at}: its prev is not the digest of the record before`);
      if (entry.gap !== undefined) this.#findings.push(`${at}: ${entry.gap} records were left out before it`);
      const other = this.#requests.get(entry.requestId);
      if (other !== undefined) this.#findings.push(`${at}: request ${entry.requestId} was closed already by ${other}`);
      this.#requests.set(entry.requestId, at);
      seq = entry.seq;
      previous = `sha256:${createHash('sha256').update(`${text}\n`).digest('hex')}`;
    }
  }
}

function auditEntry(text: string): Entry | undefined {
  try {
    return (JSON.parse(text) as { readonly audit?: Entry }).audit;
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
