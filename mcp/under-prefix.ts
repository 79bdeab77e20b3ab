import { printable } from './excerpt.ts';
import { Fault } from './fault.ts';
import { header, mediaType, type HttpResponse, type Send } from './http.ts';
import { isObject, MessageError, parseJson, type JsonObject } from './jsonrpc.ts';

/**
 * Reaches servers through the proxy of a Kubernetes API server: `prefix` is `https://…/api/v1/namespaces/<ns>/services/<name>:<port>/proxy` (or `pods/…`),
 * `send` adds the credentials for the API server. The target keeps the address that the server has for itself, so that whatever address the server
 * names (redirects, `endpoint` events) stays below the prefix and can never lead our credentials to another part of the API.
 *
 * What the API server itself answers (no rights, nothing there, nobody listening) becomes a `Fault`. A caller's own `Authorization` does not get through.
 */
export function underPrefix(prefix: URL, send: Send): Send {
  const base = prefix.pathname.replace(/\/$/, '');
  return async (request) => {
    // An encoded separator or dot could be decoded on the way and leave the prefix.
    if (/%2f|%5c|%2e/i.test(request.url.pathname)) {
      throw new Fault(
        'ProtocolError',
        `the path ${printable(request.url.pathname, 200)} has encoded separators and is not sent through the API server`,
      );
    }
    const url = new URL(prefix);
    url.pathname = `${base}${request.url.pathname}`;
    url.search = request.url.search;
    const response = await send({ ...request, url });
    const location = header(response, 'location');
    const own =
      location === undefined
        ? response
        : { ...response, headers: { ...response.headers, location: withoutPrefix(location, prefix, base) } };
    return own.status >= 400 && mediaType(own) === 'application/json' ? judged(own) : own;
  };
}

/** The API server puts its prefix before the path of a `Location`. */
function withoutPrefix(location: string, prefix: URL, base: string): string {
  if (!URL.canParse(location, prefix.href)) return location;
  const url = new URL(location, prefix);
  const ours = url.origin === prefix.origin && url.pathname.startsWith(`${base}/`);
  return ours ? `${url.pathname.slice(base.length)}${url.search}` : location;
}

/** The response as it is, unless it is the API server's own word. */
async function judged(response: HttpResponse): Promise<HttpResponse> {
  const read: Uint8Array[] = [];
  let size = 0;
  const iterator = response.body[Symbol.asyncIterator]();
  let ended = false;
  while (size < 16 * 1024) {
    const next = await iterator.next();
    if (next.done === true) {
      ended = true;
      break;
    }
    read.push(next.value);
    size += next.value.byteLength;
  }
  const status = ended ? kubernetesStatus(Buffer.concat(read).toString()) : undefined;
  if (status !== undefined) throw proxyFault(response.status, status);
  async function* body() {
    yield* read;
    if (!ended) yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { ...response, body: body(), cancel: () => response.cancel() };
}

function kubernetesStatus(text: string): JsonObject | undefined {
  try {
    const value = parseJson(text, 16);
    return isObject(value) && value['kind'] === 'Status' && value['apiVersion'] === 'v1' ? value : undefined;
  } catch (error) {
    if (error instanceof MessageError) return undefined;
    throw error;
  }
}

/** What the API server's answer instead of the server's means. */
function proxyFault(status: number, body: JsonObject): Fault {
  const text = typeof body['message'] === 'string' ? body['message'] : '';
  const said = printable(text, 300);
  const details = { status };
  if (status === 401) return new Fault('ConnectionRefused', 'the API server does not accept our credentials', details);
  if (status === 403) return new Fault('ConnectionRefused', `the API server lets us not through to the server: ${said}`, details);
  if (status === 404) return new Fault('ConnectionRefused', `the API server found no way to the server: ${said}`, details);
  if (/connection refused/.test(text)) {
    return new Fault('ConnectionRefused', `nothing listens at the server's port (${said}); does the server listen on this port?`, details);
  }
  if (/no endpoints available|no such host|no route to host|network is unreachable/.test(text)) {
    return new Fault('ConnectionRefused', `the server cannot be reached: ${said}`, details);
  }
  if (/timeout|deadline exceeded/i.test(text))
    return new Fault('Timeout', `the server did not answer the API server in time: ${said}`, details);
  return new Fault('ProtocolError', `the API server could not make sense of the server's answer: ${said}`, details);
}
