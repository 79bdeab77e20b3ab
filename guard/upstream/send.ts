import type { Send } from '../../mcp/http.ts';
import { Fault } from '../../mcp/fault.ts';
import { networkFault } from '../../mcp/network-fault.ts';
import type { Upstream } from './upstream.ts';

/** How the inventory talks to the server: the same way as callers' requests, whatever it is reached by. */
export function sendThroughUpstream(upstream: Upstream): Send {
  return ({ method, url, headers, body, signal }) => {
    if (method === 'PATCH') return Promise.reject(new TypeError('MCP has no PATCH'));
    const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<Send>>>();
    let push: ((chunk: Uint8Array) => void) | undefined;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const exchange = upstream.send(
          {
            method,
            query: '',
            headers: [...Object.entries(headers), ['accept-encoding', 'identity']].flat(),
            body: body === undefined ? undefined : Buffer.from(body),
            caller: () => INVENTORY,
          },
          {
            head: (status, raw) => {
              resolve({ status, headers: record(raw), body: stream, cancel: () => exchange.abort() });
            },
            data: (chunk) => {
              push?.(chunk);
              return true;
            },
            end: () => {
              if (push !== undefined) controller.close();
              push = undefined;
            },
            fail: ({ status, cause, error }) => {
              const fault =
                error === undefined ? new Fault(status === 504 ? 'Timeout' : 'ConnectionRefused', cause) : networkFault(error, url);
              reject(fault);
              if (push !== undefined) controller.error(fault);
              push = undefined;
            },
          },
        );
        push = (chunk) => controller.enqueue(chunk);
        signal.addEventListener('abort', () => {
          exchange.abort();
          reject(signal.reason as Error);
        });
      },
    });
    return promise;
  };
}

/** The guard itself, among the callers that upstreams keep apart. No caller's owner hash looks like this. */
const INVENTORY = 'inventory';

function record(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let at = 0; at < raw.length; at += 2) headers[(raw[at] ?? '').toLowerCase()] = raw[at + 1] ?? '';
  return headers;
}
