import { hash } from 'node:crypto';

/** Where a chain of audit records is not whole. */
export interface Break {
  /** Of the text, from 1. */
  readonly line: number;
  readonly problem: string;
}

/** What a text with audit records shows. */
export interface ChainReport {
  readonly records: number;
  /** Processes whose first record is there. */
  readonly boots: number;
  /** Records that guards themselves reported as left out. */
  readonly missing: number;
  readonly breaks: readonly Break[];
}

/** The digest of one line of the audit log, line end included, as the next record names it. */
export function lineDigest(line: string): string {
  return `sha256:${hash('sha256', line, 'hex')}`;
}

const START = '{"audit":{';

/**
 * Verifies the chains of audit records in the log of guards, line by line. Other lines are passed over, and so is what log tools put before a record. Logs of several
 * guards may be mixed, as long as each is in order.
 *
 * What it cannot see: that the last records are missing, and that a whole chain was written anew by somebody who could replace the log; ship records
 * to a place that their cluster cannot write to.
 */
export class AuditChains {
  /** The digest of the last line of each chain, with its number. */
  readonly #heads = new Map<string, number>();
  readonly #breaks: Break[] = [];
  #line = 0;
  #records = 0;
  #boots = 0;
  #missing = 0;

  /** Takes the next line, without its line end. */
  take(text: string): void {
    this.#line += 1;
    const start = text.indexOf(START);
    if (start === -1) return;
    const line = text.slice(start).replace(/\r$/, '');
    this.#records += 1;
    const record = read(line);
    if (record === undefined) {
      this.#break('the record is not whole');
      return;
    }
    this.#follow(record);
    this.#missing += record.gap;
    this.#heads.set(lineDigest(`${line}\n`), record.seq);
  }

  report(): ChainReport {
    return { records: this.#records, boots: this.#boots, missing: this.#missing, breaks: this.#breaks };
  }

  #follow({ seq, prev }: Link): void {
    if (prev === '' && seq === 1) {
      this.#boots += 1;
      return;
    }
    const before = this.#heads.get(prev);
    this.#heads.delete(prev);
    if (before === undefined)
      this.#break(`record ${seq} follows one that is not here as it was written: changed, removed, or before the beginning of this log`);
    else if (seq !== before + 1) this.#break(`record ${seq} says that it follows record ${before}`);
  }

  #break(problem: string): void {
    this.#breaks.push({ line: this.#line, problem });
  }
}

interface Link {
  readonly seq: number;
  readonly prev: string;
  readonly gap: number;
}

function read(line: string): Link | undefined {
  try {
    const { audit } = JSON.parse(line) as { readonly audit: { readonly seq?: unknown; readonly prev?: unknown; readonly gap?: unknown } };
    const { seq, prev, gap = 0 } = audit;
    return typeof seq === 'number' && typeof prev === 'string' && typeof gap === 'number' ? { seq, prev, gap } : undefined;
  } catch {
    return undefined;
  }
}
