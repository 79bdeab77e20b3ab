import { printable } from './excerpt.ts';
import { Fault } from './fault.ts';

/** An HTTP answer that holds no JSON-RPC answer to our request. */
export interface StrangeAnswer {
  readonly status: number;
  /** Media type, empty where none was given. */
  readonly type: string;
  readonly location: string | undefined;
  readonly challenge: string | undefined;
  readonly hadSession: boolean;
  readonly method: string;
  readonly place: string;
  readonly host: string;
  readonly text: string;
  /** The beginning of the text, safe to print, in quotes. */
  readonly quoted: string;
}

/** Servers with protection against DNS rebinding say so (TypeScript SDK: 403, Python SDK: 421). That is no missing credential. */
const hostRefused =
  /\b(invalid|disallowed|not allowed|allowed)[^.]{0,20}\b(host|origin)\b|\b(host|origin)\b[^.]{0,40}\b(invalid|not allowed|disallowed)|dns.?rebinding/i;

/** What an answer without MCP in it means, and what to do about it. */
export function statusFault(answer: StrangeAnswer): Fault {
  const { status, method, quoted, place } = answer;
  const said = `HTTP ${status} to ${method} at ${place}`;
  const challenge = answer.challenge === undefined ? {} : { challenge: printable(answer.challenge, 300) };
  const details = { status, ...challenge };
  if (status === 421 || (status === 403 && hostRefused.test(answer.text.slice(0, 4096)))) {
    const advice = `the server refuses the host name ${answer.host}; add it to the hosts that the server allows`;
    return new Fault('HandshakeFailed', `${said}: ${advice}. It said ${quoted}`, details);
  }
  if (status === 401) return new Fault('AuthenticationRequired', `the server asks for credentials (${said})`, details);
  if (status === 403) return new Fault('AuthenticationRequired', `the server refuses this caller (${said}): ${quoted}`, details);
  if (status >= 300 && status < 400) {
    const to = answer.location === undefined ? 'without saying where' : `to ${printable(withoutQuery(answer.location), 200)}`;
    return new Fault(
      'ProtocolError',
      `${said}: it redirects ${to}, and redirects are not followed; name the final address (path) instead`,
      details,
    );
  }
  if (status === 404 && answer.hadSession) {
    const advice = 'the server forgot its session; with several replicas, sessions must be shared or the server run stateless';
    return new Fault('ProtocolError', `${said}: ${advice}. It said ${quoted}`, details);
  }
  if (status === 404) {
    return new Fault(
      'ProtocolError',
      `${said}: there is no MCP endpoint at this path; is the path right (transport.path)? It said ${quoted}`,
      details,
    );
  }
  if (status === 405) {
    const advice = 'no streamable HTTP at this path; is the path right, or is it a server of HTTP+SSE (transport.type: SSE)?';
    return new Fault('ProtocolError', `${said}: ${advice} It said ${quoted}`, details);
  }
  if (status === 202 || status === 204)
    return new Fault('ProtocolError', `${said}: a request must be answered, but no answer came`, details);
  if (status >= 200 && status < 300) {
    const type = answer.type === '' ? 'no content type' : `content type ${printable(answer.type, 80)}`;
    return new Fault('ProtocolError', `${said} came with ${type} where MCP has application/json or text/event-stream: ${quoted}`, details);
  }
  return new Fault('ProtocolError', `${said}: ${quoted}`, details);
}

function withoutQuery(location: string): string {
  return location.replace(/[?#].*$/s, '').replace(/\/\/[^/@]*@/, '//');
}
