import type { Denied } from '../mcp/policy/decision.ts';
import type { Call } from './call.ts';

/** Tells the server that its request was refused, in place of the client that never saw it. Its own answer to that concerns nobody. */
export function answerServer(call: Call, id: string | number, decision: Denied): void {
  const error = { code: 403, message: decision.message, data: { code: decision.code, requestId: call.requestId } };
  const session = call.upstreamSession === undefined ? [] : ['mcp-session-id', call.upstreamSession];
  const version = call.version === undefined ? [] : ['mcp-protocol-version', call.version];
  call.context.metrics.decision('deny', decision.code, decision.policy ?? '', '');
  call.context.upstream.send(
    {
      method: 'POST',
      query: '',
      headers: ['content-type', 'application/json', 'accept', 'application/json, text/event-stream', ...session, ...version],
      body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, error })),
      caller: () => (call.caller === undefined ? '' : call.context.sessions.owner(call.caller)),
    },
    { head: () => undefined, data: () => true, end: () => undefined, fail: () => undefined },
  );
}
