import { readFileSync } from 'node:fs';
import { headersFrom } from '../headerfiles.ts';
import type { UpstreamSettings } from '../settings.ts';
import { HttpUpstream } from './http.ts';
import { StdioUpstream } from './stdio/stdio.ts';
import type { Upstream } from './upstream.ts';

export interface UpstreamEvents {
  /** A line of a stdio server that is no message. */
  readonly stray: (line: string) => void;
  /** The server says that its lists have changed, to nobody in particular. */
  readonly listChanged: () => void;
  readonly now: () => number;
}

/** The server as the settings describe it. */
export function upstreamFor(settings: UpstreamSettings, events: UpstreamEvents): Upstream {
  if (settings.transport === 'Stdio') return new StdioUpstream({ ...settings, ...events });
  const { url, host, ca, headers } = settings;
  return new HttpUpstream({
    url,
    host,
    ...(ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') }),
    ...(headers === undefined ? {} : { headers: [...headersFrom(headers)].flat() }),
  });
}
