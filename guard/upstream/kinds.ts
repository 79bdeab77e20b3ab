import { readFileSync } from 'node:fs';
import { headersFrom } from '../headerfiles.ts';
import type { UpstreamSettings } from '../settings.ts';
import { HttpUpstream } from './http.ts';
import type { Upstream } from './upstream.ts';

/** The server as the settings describe it. `line` gets what a stdio child writes that is no message. */
export function upstreamFor(settings: UpstreamSettings, _line: (line: string) => void): Upstream {
  if (settings.transport === 'Stdio') throw new Error('not there yet');
  const { url, host, ca, headers } = settings;
  return new HttpUpstream({
    url,
    host,
    ...(ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') }),
    ...(headers === undefined ? {} : { headers: [...headersFrom(headers)].flat() }),
  });
}
