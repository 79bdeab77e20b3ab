import { excerpt, printable } from './excerpt.ts';
import { Fault, type FaultKind } from './fault.ts';

interface Meaning {
  readonly kind: FaultKind;
  readonly text: (at: string, code: string, host: string) => string;
}

const refused: Meaning = {
  kind: 'ConnectionRefused',
  text: (at) => `nothing listens at ${at} (connection refused); does the server listen on this port?`,
};
const unresolved: Meaning = { kind: 'ConnectionRefused', text: (_, code, host) => `the name ${host} does not resolve (${code})` };
const noRoute: Meaning = {
  kind: 'ConnectionRefused',
  text: (at, code) => `there is no route to ${at} (${code}); is a NetworkPolicy or a firewall in between?`,
};
const dropped: Meaning = {
  kind: 'Timeout',
  text: (at) => `no connection to ${at} came about; packets are dropped, for example by a NetworkPolicy or a firewall`,
};
const hungUp: Meaning = {
  kind: 'ProtocolError',
  text: (at) => `${at} closed the connection without an HTTP answer; is it the port of an HTTP server?`,
};

/** Codes of node and undici below HTTP. */
const meanings: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: refused,
  ENOTFOUND: unresolved,
  EAI_AGAIN: unresolved,
  EHOSTUNREACH: noRoute,
  ENETUNREACH: noRoute,
  EADDRNOTAVAIL: noRoute,
  EACCES: noRoute,
  ETIMEDOUT: dropped,
  UND_ERR_CONNECT_TIMEOUT: dropped,
  ECONNRESET: hungUp,
  EPIPE: hungUp,
  UND_ERR_SOCKET: hungUp,
  UND_ERR_HEADERS_OVERFLOW: { kind: 'ProtocolError', text: (at) => `${at} sent more than 16 KiB of HTTP headers` },
};

const tls = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO/;

/** What it means that a request could not be sent or its answer not be read, in words. A `Fault` stays what it is. */
export function networkFault(error: unknown, url: URL): Fault {
  if (error instanceof Fault) return error;
  const at = `${url.hostname} port ${portOf(url)}`;
  const code = codeOf(error);
  const meaning = meanings[code];
  const cause = { cause: error };
  if (meaning !== undefined)
    return new Fault(meaning.kind, meaning.text(at, code, url.hostname), meaning === hungUp ? { hungUp: true } : {}, cause);
  const said = printable(error instanceof Error ? error.message : String(error), 200);
  if (error instanceof Error && error.name === 'HTTPParserError') {
    const data = (error as { data?: unknown }).data;
    const seen = typeof data === 'string' && data !== '' ? `; it begins with ${excerpt(data)}` : '';
    return new Fault(
      'ProtocolError',
      `what ${at} answered is not HTTP: ${said}${seen}. Is it the right port, and http or https as it must be?`,
      {},
      cause,
    );
  }
  if (tls.test(code)) return new Fault('ProtocolError', `TLS with ${at} failed: ${said} (${code})`, {}, cause);
  return new Fault('ProtocolError', `HTTP with ${at} failed: ${said}${code === '' ? '' : ` (${code})`}`, {}, cause);
}

function portOf(url: URL): string {
  if (url.port !== '') return url.port;
  return url.protocol === 'https:' ? '443' : '80';
}

/** The code of an error, of the first of several attempts, or of the cause. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') return code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error.cause === error ? '' : codeOf(error.cause);
}
