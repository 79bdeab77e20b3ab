import type { Dispatcher } from 'undici';
import { errorOfStatus, type Status } from './errors.ts';
import type { KubeObject, ObjectName, Resource } from './object.ts';
import { apiVersionOf } from './resources.ts';
import type { Lane, Method, Request, Transport } from './transport.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions extends CallOptions {
  readonly fieldManager?: string;
  readonly dryRun?: boolean;
  /** `status`, `scale`, … */
  readonly subresource?: string;
}

export interface ApplyOptions extends CallOptions {
  readonly fieldManager: string;
  /** Takes fields over from other managers. Default true: what we say about our own objects holds. */
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly subresource?: string;
}

export interface DeleteOptions extends CallOptions {
  /** Only if it is still this very object. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

export interface Selection {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Asks for `metadata` alone: a fraction of the memory, and of a Secret only what is no secret. */
  readonly metadataOnly?: boolean | undefined;
}

export interface ListOptions extends Selection, CallOptions {
  readonly limit?: number;
  readonly continue?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

export interface List<T> {
  readonly items: T[];
  readonly resourceVersion: string;
  /** Set when there are more pages. */
  readonly continue?: string;
}

export interface WatchOptions extends Selection, CallOptions {
  /** Absent together with `sendInitialEvents`: the list is streamed first. */
  readonly resourceVersion?: string | undefined;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
  /** The server accepted the watch. */
  readonly onOpen?: () => void;
  /** The server sends no bookmarks for this kind, so that silence is normal. */
  readonly silent?: boolean | undefined;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly object: KubeObject }
  | { readonly type: 'ERROR'; readonly object: Status };

export type JSONPatch = readonly (
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
)[];

export interface ClientOptions {
  readonly lane?: Lane;
  /** Asked right before each mutating request leaves: `false` holds it back with `KubeError` `Fenced`. */
  readonly mayWrite?: () => boolean;
}

const PARTIAL = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';
const PARTIAL_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';

/**
 * The verbs of the API server, typed by `Resource`.
 *
 * Every call takes a signal, rejects with `KubeError`, and says exactly what is sent: nothing is defaulted, converted or cached.
 * Objects come back as they travel: times are strings, absent fields are absent. They belong to the caller, but whoever
 * puts them into a store must not change them any more.
 */
export class Client {
  readonly #transport: Transport;
  readonly #lane: Lane;
  readonly #mayWrite: (() => boolean) | undefined;

  constructor(transport: Transport, { lane = 'requests', mayWrite }: ClientOptions = {}) {
    this.#transport = transport;
    this.#lane = lane;
    this.#mayWrite = mayWrite;
  }

  /** The same server on other connections, or behind a fence. */
  with(options: ClientOptions): Client {
    return new Client(this.#transport, {
      lane: this.#lane,
      ...(this.#mayWrite !== undefined && { mayWrite: this.#mayWrite }),
      ...options,
    });
  }

  async get<T extends KubeObject>(resource: Resource<T>, name: ObjectName, { signal }: CallOptions = {}): Promise<T> {
    return this.#send<T>({ method: 'GET', path: pathOf(resource, name), signal, repeatable: true });
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<List<T>> {
    const { limit, resourceVersion, signal } = options;
    const query = selectionQuery(options);
    if (limit !== undefined) query.set('limit', String(limit));
    if (options.continue !== undefined) query.set('continue', options.continue);
    if (resourceVersion !== undefined) query.set('resourceVersion', resourceVersion);
    const list = await this.#send<{ metadata: { resourceVersion?: string; continue?: string }; items?: T[] | null }>({
      method: 'GET',
      path: withQuery(collectionPath(resource, options.namespace), query),
      accept: options.metadataOnly === true ? PARTIAL_LIST : 'application/json',
      signal,
      repeatable: true,
    });
    const more = list.metadata.continue;
    return {
      items: list.items ?? [],
      resourceVersion: list.metadata.resourceVersion ?? '',
      ...(more !== undefined && more !== '' && { continue: more }),
    };
  }

  /** Not repeated when the connection breaks: the object may have been made. With a subresource (`token`, `eviction`), of the named object. */
  async create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { subresource } = options;
    const collection = collectionPath(resource, object.metadata.namespace);
    const path = withQuery(subresource === undefined ? collection : pathOf(resource, object.metadata, subresource), writeQuery(options));
    return this.#send<T>({ method: 'POST', path, body: JSON.stringify(object), signal: options.signal });
  }

  /** Writes the whole object; `metadata.resourceVersion` makes it conditional. */
  async replace<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const path = withQuery(pathOf(resource, object.metadata, options.subresource), writeQuery(options));
    const repeatable = object.metadata.resourceVersion === undefined;
    return this.#send<T>({ method: 'PUT', path, body: JSON.stringify(object), signal: options.signal, repeatable });
  }

  /** Server-side apply: says which fields we want and drops those that we wanted before. */
  async apply<T extends KubeObject>(resource: Resource<T>, object: Applied<T>, options: ApplyOptions): Promise<T> {
    const query = writeQuery(options);
    query.set('force', String(options.force ?? true));
    const path = withQuery(pathOf(resource, object.metadata, options.subresource), query);
    const body = JSON.stringify(object);
    return this.#send<T>({
      method: 'PATCH',
      path,
      body,
      contentType: 'application/apply-patch+yaml',
      signal: options.signal,
      repeatable: true,
    });
  }

  /** JSON merge patch (RFC 7386). */
  async mergePatch<T extends KubeObject>(resource: Resource<T>, name: ObjectName, patch: object, options: WriteOptions = {}): Promise<T> {
    return this.#patch(resource, name, patch, 'application/merge-patch+json', options, true);
  }

  /** JSON patch (RFC 6902). Not repeated: its `test`s would fail the second time. */
  async jsonPatch<T extends KubeObject>(resource: Resource<T>, name: ObjectName, patch: JSONPatch, options: WriteOptions = {}): Promise<T> {
    return this.#patch(resource, name, patch, 'application/json-patch+json', options, false);
  }

  /** Resolves with the object while finalizers keep it, `undefined` once it is gone. `NotFound` rejects. */
  async delete<T extends KubeObject>(resource: Resource<T>, name: ObjectName, options: DeleteOptions = {}): Promise<T | undefined> {
    const { uid, resourceVersion, propagationPolicy = 'Background', signal } = options;
    const preconditions = { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) };
    const answer = await this.#send<T | Status>({
      method: 'DELETE',
      path: pathOf(resource, name),
      body: JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy, preconditions }),
      signal,
      repeatable: uid !== undefined,
    });
    if (answer.kind === 'Status') return undefined;
    const object = answer as T;
    return object.metadata.deletionTimestamp === undefined || (object.metadata.finalizers ?? []).length === 0 ? undefined : object;
  }

  /**
   * Calls `onEvent` for each event, in order. Resolves at the clean end of the watch, rejects with `KubeError` when it
   * breaks. What `onEvent` throws ends it. `ERROR` events are passed on like the others; `watchError` translates them.
   */
  async watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions, onEvent: (event: WatchEvent<T>) => void): Promise<void> {
    const query = selectionQuery(options);
    query.set('watch', 'true');
    query.set('allowWatchBookmarks', 'true');
    if (options.timeoutSeconds !== undefined) query.set('timeoutSeconds', String(options.timeoutSeconds));
    if (options.resourceVersion !== undefined) query.set('resourceVersion', options.resourceVersion);
    if (options.sendInitialEvents === true) {
      query.set('sendInitialEvents', 'true');
      query.set('resourceVersionMatch', 'NotOlderThan');
    }
    const lines = lineSplitter((line) => onEvent(JSON.parse(line) as WatchEvent<T>));
    await this.#transport.stream({
      path: withQuery(collectionPath(resource, options.namespace), query),
      accept: options.metadataOnly === true ? PARTIAL : 'application/json',
      signal: options.signal,
      onData: lines,
      silent: options.silent,
      ...(options.onOpen !== undefined && { onOpen: options.onOpen }),
    });
  }

  /** Any request, as undici answers it; the body must be consumed. For `servicePath` and `podPath`. */
  raw(options: {
    readonly method: Method;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly signal?: AbortSignal | undefined;
  }): Promise<Dispatcher.ResponseData> {
    return this.#transport.raw(options);
  }

  async #patch<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: unknown,
    contentType: string,
    options: WriteOptions,
    repeatable: boolean,
  ): Promise<T> {
    const path = withQuery(pathOf(resource, name, options.subresource), writeQuery(options));
    return this.#send<T>({ method: 'PATCH', path, body: JSON.stringify(patch), contentType, signal: options.signal, repeatable });
  }

  async #send<T>(request: Request): Promise<T> {
    const mayLeave = request.method === 'GET' ? undefined : this.#mayWrite;
    return (await this.#transport.request({ ...request, lane: this.#lane, mayLeave })) as T;
  }
}

/** What may be applied: the fields we want, and of the metadata at least the name. */
export type Applied<T extends KubeObject> = Pick<T, 'apiVersion' | 'kind' | 'metadata'> & { readonly [K in keyof T]?: unknown };

export const watchError = errorOfStatus;

/** `/api/v1/namespaces/x/pods` or `/apis/group/version/…`. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${apiVersionOf(resource)}`;
  return resource.namespaced && namespace !== undefined
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${resource.plural}`
    : `${root}/${resource.plural}`;
}

export function pathOf(resource: Resource, { namespace, name }: ObjectName, subresource?: string): string {
  const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

export interface ProxyTarget {
  readonly namespace: string;
  readonly name: string;
  readonly port: number | string;
  readonly scheme?: 'http' | 'https';
}

/** Path through the API server's proxy to a Service. `path` starts with a slash. */
export const servicePath = (target: ProxyTarget, path: string): string => proxyPath('services', target, path);

/** Path through the API server's proxy to a Pod. `path` starts with a slash. */
export const podPath = (target: ProxyTarget, path: string): string => proxyPath('pods', target, path);

const proxyPath = (plural: string, { namespace, name, port, scheme = 'http' }: ProxyTarget, path: string): string =>
  `/api/v1/namespaces/${encodeURIComponent(namespace)}/${plural}/${scheme === 'https' ? 'https:' : ''}${encodeURIComponent(name)}:${port}/proxy${path}`;

function selectionQuery({ labelSelector, fieldSelector }: Selection): URLSearchParams {
  const query = new URLSearchParams();
  if (labelSelector !== undefined && labelSelector !== '') query.set('labelSelector', labelSelector);
  if (fieldSelector !== undefined && fieldSelector !== '') query.set('fieldSelector', fieldSelector);
  return query;
}

function writeQuery({ fieldManager, dryRun }: Pick<WriteOptions, 'fieldManager' | 'dryRun'>): URLSearchParams {
  const query = new URLSearchParams();
  if (fieldManager !== undefined) query.set('fieldManager', fieldManager);
  if (dryRun === true) query.set('dryRun', 'All');
  return query;
}

const withQuery = (path: string, query: URLSearchParams): string => (query.size === 0 ? path : `${path}?${query.toString()}`);

/** Cuts a stream at newlines. They never occur inside JSON or a UTF-8 sequence, so only whole lines are decoded. */
function lineSplitter(onLine: (line: string) => void): (chunk: Buffer) => void {
  let rest: Buffer[] = [];
  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const last = chunk.subarray(start, end);
      const line = rest.length === 0 ? last : Buffer.concat([...rest, last]);
      rest = [];
      start = end + 1;
      if (line.length > 0) onLine(line.toString('utf8'));
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
  };
}
