import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';

/** A finished request, as the audit log of the API server has it. */
export interface AuditedRequest {
  readonly verb: string;
  readonly user: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly code: number;
  readonly at: Date;
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly requestReceivedTimestamp: string;
}

/** A place in an audit log: what was asked of the API server after it is news. */
export class AuditMark {
  readonly #path: string;
  readonly #offset: number;

  private constructor(path: string, offset: number) {
    this.#path = path;
    this.#offset = offset;
  }

  static async now(path: string): Promise<AuditMark> {
    return new AuditMark(path, (await stat(path)).size);
  }

  /** What was finished since then and fits, oldest first. Requests that the API server is still writing down are left out. */
  async requests(fits: (request: AuditedRequest) => boolean): Promise<AuditedRequest[]> {
    const found: AuditedRequest[] = [];
    const lines = createInterface({ input: createReadStream(this.#path, { start: this.#offset }), crlfDelay: Infinity });
    for await (const line of lines) {
      const request = parsed(line);
      if (request !== undefined && fits(request)) found.push(request);
    }
    return found;
  }
}

function parsed(line: string): AuditedRequest | undefined {
  let event: AuditEvent;
  try {
    event = JSON.parse(line) as AuditEvent;
  } catch {
    // The start of a line that is being written, or the rest of one.
    return undefined;
  }
  if (event.stage !== 'ResponseComplete') return undefined;
  const { resource = '', subresource = '', namespace = '', name = '' } = event.objectRef ?? {};
  return {
    verb: event.verb,
    user: event.user.username,
    resource,
    subresource,
    namespace,
    name,
    code: event.responseStatus?.code ?? 0,
    at: new Date(event.requestReceivedTimestamp),
  };
}
