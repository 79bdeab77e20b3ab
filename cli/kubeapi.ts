import type { HttpResponse } from '../mcp/http.ts';
import { isObject, type Json, type JsonObject } from '../mcp/jsonrpc.ts';
import { networkFault } from '../mcp/network-fault.ts';
import type { ObjectMeta } from '../api/object.ts';
import type { Access } from './access.ts';
import { CommandError, ExitCode } from './exit.ts';

/** Any object of Kubernetes as it travels. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** Where objects of a kind are found. */
export interface Collection {
  readonly apiVersion: string;
  readonly plural: string;
}

export interface ListOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Names and labels, never contents: for Secrets and large ConfigMaps. */
  readonly metadataOnly?: boolean;
}

/** The status code that Kubernetes answered, beside the exit code. */
export class ApiError extends CommandError {
  readonly status: number;
  constructor(status: number, message: string) {
    super(status === 404 ? ExitCode.NotFound : status === 401 || status === 403 ? ExitCode.Refused : ExitCode.Failed, message);
    this.status = status;
  }
}

/** A request is given up after this time, in milliseconds; logs excepted. */
const patienceMs = 30_000;

/** `/apis/apps/v1/namespaces/agents/deployments/github`; without namespace over all of them. */
export function path({ apiVersion, plural }: Collection, namespace?: string, name?: string, subresource?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const parts = [...(namespace === undefined ? [] : ['namespaces', namespace]), plural, name, subresource];
  return [root, ...parts.filter((part) => part !== undefined).map(encodeURIComponent)].join('/');
}

/** What the command reads and writes of a cluster. Rejects with `ApiError`, or `CommandError` when the cluster cannot be reached. */
export class KubeApi {
  readonly #access: Access;
  readonly #signal: AbortSignal | undefined;

  constructor(access: Access, signal?: AbortSignal) {
    this.#access = access;
    this.#signal = signal;
  }

  async get<T extends KubeObject>(collection: Collection, namespace: string, name: string): Promise<T> {
    return (await this.#json('GET', path(collection, namespace, name))) as unknown as T;
  }

  /** `undefined` where the object, or its kind, does not exist. */
  async find<T extends KubeObject>(collection: Collection, namespace: string, name: string): Promise<T | undefined> {
    try {
      return await this.get<T>(collection, namespace, name);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** All pages. Without namespace: over all of them. */
  async list<T extends KubeObject>(
    collection: Collection,
    namespace: string | undefined,
    options: ListOptions = {},
  ): Promise<readonly T[]> {
    const items: T[] = [];
    const accept = options.metadataOnly === true ? 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' : 'application/json';
    let token: string | undefined;
    do {
      const query = new URLSearchParams({ limit: '500' });
      if (options.labelSelector !== undefined) query.set('labelSelector', options.labelSelector);
      if (options.fieldSelector !== undefined) query.set('fieldSelector', options.fieldSelector);
      if (token !== undefined) query.set('continue', token);
      const page = (await this.#json('GET', `${path(collection, namespace)}?${query.toString()}`, { accept })) as unknown as {
        items?: T[];
        metadata?: { continue?: string };
      };
      items.push(...(page.items ?? []));
      token = page.metadata?.continue === '' ? undefined : page.metadata?.continue;
    } while (token !== undefined);
    return items;
  }

  async mergePatch(collection: Collection, namespace: string, name: string, body: JsonObject, fieldManager: string): Promise<void> {
    const to = `${path(collection, namespace, name)}?fieldManager=${encodeURIComponent(fieldManager)}`;
    await this.#json('PATCH', to, { 'content-type': 'application/merge-patch+json' }, JSON.stringify(body));
  }

  /** Server-side apply: rejects with status 409 where another field manager owns what differs, unless `force` takes it over. */
  async apply(collection: Collection, object: KubeObject, fieldManager: string, force: boolean): Promise<void> {
    const { namespace = '', name } = object.metadata;
    const query = new URLSearchParams({ fieldManager, ...(force ? { force: 'true' } : {}) });
    const to = `${path(collection, namespace, name)}?${query.toString()}`;
    await this.#json('PATCH', to, { 'content-type': 'application/apply-patch+yaml' }, JSON.stringify(object));
  }

  /** A body without end, such as a log that is followed. */
  async stream(pathAndQuery: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#send('GET', pathAndQuery, {}, undefined, signal);
    if (response.status >= 400) throw apiError(response.status, await text(response));
    return response.body;
  }

  async #json(
    method: 'GET' | 'PATCH',
    pathAndQuery: string,
    headers: Readonly<Record<string, string>> = {},
    body?: string,
  ): Promise<JsonObject> {
    const patience = AbortSignal.timeout(patienceMs);
    const signal = this.#signal === undefined ? patience : AbortSignal.any([patience, this.#signal]);
    const response = await this.#send(method, pathAndQuery, { accept: 'application/json', ...headers }, body, signal);
    const content = await text(response);
    if (response.status >= 400) throw apiError(response.status, content);
    const value = parsed(content);
    if (!isObject(value))
      throw new CommandError(ExitCode.Unreachable, `${this.#access.server.origin} does not answer like a Kubernetes API server`);
    return value;
  }

  async #send(
    method: 'GET' | 'PATCH',
    pathAndQuery: string,
    headers: Readonly<Record<string, string>>,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const base = this.#access.server;
    const url = new URL(`${base.pathname.replace(/\/$/, '')}${pathAndQuery}`, base);
    try {
      return await this.#access.send({ method, url, headers, signal, ...(body === undefined ? {} : { body }) });
    } catch (error) {
      if (this.#signal?.aborted === true) throw this.#signal.reason;
      if (signal.aborted)
        throw new CommandError(ExitCode.Unreachable, `the API server ${base.origin} did not answer within ${patienceMs / 1_000} s`);
      throw new CommandError(
        ExitCode.Unreachable,
        `the API server ${base.origin} cannot be reached: ${networkFault(error, base).message}`,
        { cause: error },
      );
    }
  }
}

async function text(response: HttpResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function parsed(content: string): Json | undefined {
  try {
    return JSON.parse(content) as Json;
  } catch {
    return undefined;
  }
}

function apiError(status: number, content: string): ApiError {
  const value = parsed(content);
  const message = isObject(value) && typeof value['message'] === 'string' ? value['message'] : content.slice(0, 200);
  return new ApiError(status, status === 401 ? 'the cluster does not accept your credentials (401)' : message);
}
