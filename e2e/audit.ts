import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';

/** A finished request, as the audit log of the API server has it. */
export interface AuditedRequest {
  readonly verb: string;
  readonly user: string;
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
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
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
  readonly annotations?: Readonly<Record<string, string>>;
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
    const found: AuditedRequest[] = [];
    const lines = createInterface({ input: createReadStream(this.#path, { start: this.#offset }), crlfDelay: Infinity });
    for await (const line of lines) {
      const request = parsed(line, open);
      if (request !== undefined && fits(request)) found.push(request);
    }
    return found;
  }
}

const OPERATOR_ACCOUNT = 'system:serviceaccount:mcp-fleet-system:mcp-fleet-operator';

export const isOperator = ({ user }: AuditedRequest): boolean => user === OPERATOR_ACCOUNT;

/** Changes that the operator made to objects: no lease renewals, no reviews of tokens and rights, no events. */
export const isOperatorWrite = (request: AuditedRequest): boolean =>
  isOperator(request) &&
  request.code < 300 &&
  !['get', 'list', 'watch'].includes(request.verb) &&
  !['leases', 'tokenreviews', 'subjectaccessreviews', 'events'].includes(request.resource);

/** `patch deployments one/echo 200`, for messages of failed tests. */
export const said = ({ verb, resource, subresource, namespace, name, code }: AuditedRequest): string =>
  `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`} ${namespace}/${name} ${code}`;

function parsed(line: string, open: boolean): AuditedRequest | undefined {
  let event: AuditEvent;
  try {
    event = JSON.parse(line) as AuditEvent;
  } catch {
    // The start of a line that is being written, or the rest of one.
    return undefined;
  }
  if (event.stage !== 'ResponseComplete' && !(open && event.stage === 'ResponseStarted')) return undefined;
  const { apiGroup: group = '', resource = '', subresource = '', namespace = '', name = '' } = event.objectRef ?? {};
  return {
    verb: event.verb,
    user: event.user.username,
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
  };
}
