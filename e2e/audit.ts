import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';

/** A finished request, as the audit log of the API server has it. */
export interface AuditedRequest {
  readonly verb: string;
  readonly user: string;
  readonly userAgent: string;
  /** Whose ServiceAccount token it was, where it was a pod's. */
  readonly pod: string | undefined;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** With its query. */
  readonly uri: string;
  readonly code: number;
  /** False when RBAC said no; other refusals, as of a namespace that is going, have code 403 too. */
  readonly authorized: boolean;
  readonly at: Date;
  /** When it was answered. */
  readonly answered: Date;
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly user: { readonly username: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A place in an audit log: what was asked of the API server after it is news. */
export class AuditMark {
  readonly #path: string;
  #offset: number;

  private constructor(path: string, offset: number) {
    this.#path = path;
    this.#offset = offset;
  }

  static async now(path: string): Promise<AuditMark> {
    return new AuditMark(path, (await stat(path)).size);
  }

  /** The beginning of the log. */
  static start(path: string): AuditMark {
    return new AuditMark(path, 0);
  }

  /**
   * What was finished since then and fits, oldest first. Requests that the API server is still writing down are left out.
   *
   * @param open also watches that have begun
   */
  async requests(fits: (request: AuditedRequest) => boolean, { open = false } = {}): Promise<AuditedRequest[]> {
    return (await this.#read(fits, open)).requests;
  }

  /** The same, and moves the mark behind it. */
  async take(fits: (request: AuditedRequest) => boolean): Promise<AuditedRequest[]> {
    const { requests, end } = await this.#read(fits, false);
    this.#offset = end;
    return requests;
  }

  async #read(fits: (request: AuditedRequest) => boolean, open: boolean) {
    const requests: AuditedRequest[] = [];
    const lines = createInterface({ input: createReadStream(this.#path, { start: this.#offset }), crlfDelay: Infinity });
    let end = this.#offset;
    let at = end;
    for await (const line of lines) {
      at += Buffer.byteLength(line) + 1;
      const event = eventIn(line);
      if (event === undefined) continue;
      end = at;
      if (event.stage !== 'ResponseComplete' && !(open && event.stage === 'ResponseStarted')) continue;
      const request = requestOf(event);
      if (fits(request)) requests.push(request);
    }
    return { requests, end };
  }
}

const OPERATOR_ACCOUNT = 'system:serviceaccount:mcp-fleet-system:mcp-fleet-operator';

export const isOperator = ({ user }: AuditedRequest): boolean => user === OPERATOR_ACCOUNT;

/** What asks for a change of an object: no lease renewals, no reviews of tokens and rights, no events. */
export const isMutation = ({ verb, resource }: AuditedRequest): boolean =>
  !['get', 'list', 'watch'].includes(verb) && !['leases', 'tokenreviews', 'subjectaccessreviews', 'events'].includes(resource);

export const isOperatorWrite = (request: AuditedRequest): boolean => isOperator(request) && request.code < 300 && isMutation(request);

/** Whether an operator sent it that runs outside of the cluster, with anybody's rights. */
export const isOperatorProcess = ({ userAgent }: AuditedRequest): boolean => userAgent.startsWith('mcp-fleet-operator');

/** `patch deployments one/echo 200`, for messages of failed tests. */
export const said = ({ verb, resource, subresource, namespace, name, code }: AuditedRequest): string =>
  `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`} ${namespace}/${name} ${code}`;

function eventIn(line: string): AuditEvent | undefined {
  try {
    return JSON.parse(line) as AuditEvent;
  } catch {
    // The start of a line that is being written, or the rest of one.
    return undefined;
  }
}

function requestOf(event: AuditEvent): AuditedRequest {
  const { apiGroup: group = '', resource = '', subresource = '', namespace = '', name = '' } = event.objectRef ?? {};
  return {
    verb: event.verb,
    user: event.user.username,
    userAgent: event.userAgent ?? '',
    pod: event.user.extra?.['authentication.kubernetes.io/pod-name']?.[0],
    group,
    resource,
    subresource,
    namespace,
    name,
    uri: event.requestURI,
    code: event.responseStatus?.code ?? 0,
    authorized: event.annotations?.['authorization.k8s.io/decision'] !== 'forbid',
    at: new Date(event.requestReceivedTimestamp),
    answered: new Date(event.stageTimestamp),
  };
}
