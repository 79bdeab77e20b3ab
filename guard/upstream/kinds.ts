import { readFileSync } from 'node:fs';
import { headersFrom } from '../headerfiles.ts';
import type { UpstreamSettings } from '../settings.ts';
import { EventLink } from './events.ts';
import { HttpUpstream } from './http.ts';
import type { OpenLink } from './link/link.ts';
import { LinkedUpstream } from './link/linked.ts';
import { PipeLink } from './link/pipe.ts';
import type { Upstream } from './upstream.ts';

export interface UpstreamEvents {
  /** A line of a stdio server that is no message. */
  readonly stray: (line: string) => void;
  /** The server says that its lists have changed, to nobody in particular. */
  readonly listChanged: () => void;
  readonly now: () => number;
}

/** Sessions that an HTTP+SSE server may have through this guard. */
const MAXIMUM_EVENT_SESSIONS = 1_000;

/** The server as the settings describe it. */
export function upstreamFor(settings: UpstreamSettings, events: UpstreamEvents): Upstream {
  if (settings.transport === 'Stdio') {
    const { socket, processes, maxProcesses } = settings;
    const open: OpenLink = (handlers) => new PipeLink(socket, handlers);
    const reachable = (): Promise<boolean> => Promise.resolve(false);
    return new LinkedUpstream({ open, processes, maxProcesses, modern: true, spare: true, reachable, ...events });
  }
  const { url, host, ca, headers, transport } = settings;
  const server = new HttpUpstream({
    url,
    host,
    ...(ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') }),
    ...(headers === undefined ? {} : { headers: [...headersFrom(headers)].flat() }),
  });
  if (transport === 'StreamableHTTP') return server;
  const linked = new LinkedUpstream({
    open: (handlers, fields) => new EventLink(server, url, handlers, fields),
    processes: 'PerSession',
    maxProcesses: MAXIMUM_EVENT_SESSIONS,
    modern: false,
    spare: false,
    idle: 3_600_000,
    reachable: () => server.reachable(),
    ...events,
  });
  return {
    // What lies beside the MCP endpoint is plain HTTP: the server's own OAuth metadata.
    send: (request, sink) => (request.path === undefined ? linked : server).send(request, sink),
    reachable: () => server.reachable(),
    close: async () => {
      await linked.close();
      await server.close();
    },
  };
}
