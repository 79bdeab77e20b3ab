import { FIRST_MODERN_REVISION, isModern } from '../../message/era.ts';
import type { JsonObject } from '../../message/message.ts';
import { isObject, own } from '../../message/message.ts';
import { spanAt } from '../../message/spans.ts';

const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

/** Who the guard says it is where it speaks for itself. */
export const US = { name: 'mcp-fleet-guard', version: '1' };

/** What every request of the modern era carries. */
export const MODERN_META = {
  [VERSION_KEY]: FIRST_MODERN_REVISION,
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': US,
};

/** A message that claims a version for itself is of the modern era, even if it is one that nobody speaks: that is for the server to say. */
export function isModernMessage(message: JsonObject, version: string | undefined): boolean {
  const params = own(message, 'params');
  const meta = isObject(params) ? own(params, '_meta') : undefined;
  const claim = isObject(meta) ? own(meta, VERSION_KEY) : undefined;
  if (own(message, 'method') === 'initialize') return typeof claim === 'string' && isModern(claim);
  return typeof claim === 'string' || (version !== undefined && isModern(version));
}

/** Source: MCP 2026-07-28, basic/index "Error Codes": what these errors are over HTTP. Others are answers like any other. */
const ERROR_STATUS: ReadonlyMap<unknown, number> = new Map([
  [-32700, 400],
  [-32600, 400],
  [-32601, 404],
  [-32020, 400],
  [-32021, 400],
  [-32022, 400],
]);

/** The HTTP status of an answer in the modern era. -32602 is 400 only for a request without what every request needs. */
export function modernStatus(request: JsonObject, answer: string): number {
  const error = own(JSON.parse(answer) as JsonObject, 'error');
  if (!isObject(error)) return 200;
  const code = own(error, 'code');
  if (code !== -32602) return ERROR_STATUS.get(code) ?? 200;
  const params = own(request, 'params');
  const meta = isObject(params) ? own(params, '_meta') : undefined;
  const version = isObject(meta) ? own(meta, VERSION_KEY) : undefined;
  const capabilities = isObject(meta) ? own(meta, 'io.modelcontextprotocol/clientCapabilities') : undefined;
  return typeof version === 'string' && isObject(capabilities) ? 200 : 400;
}

/**
 * The error for a request of a version that the server does not have among those that it told `discovery`; nothing when it has. Over HTTP
 * servers check it themselves; over stdio the official SDK settles it once per connection, which here many clients share.
 */
export function unsupportedVersion(discovery: string, request: JsonObject, text: string): string | undefined {
  const result = own(JSON.parse(discovery) as JsonObject, 'result');
  const supported = isObject(result) ? own(result, 'supportedVersions') : undefined;
  const params = own(request, 'params');
  const meta = isObject(params) ? own(params, '_meta') : undefined;
  const requested = isObject(meta) ? own(meta, VERSION_KEY) : undefined;
  const id = spanAt(text, ['id']);
  if (!Array.isArray(supported) || typeof requested !== 'string' || supported.includes(requested) || id === undefined) return undefined;
  const error = { code: -32022, message: `Unsupported protocol version: ${requested}`, data: { supported, requested } };
  return `{"jsonrpc":"2.0","id":${text.slice(id.start, id.end)},"error":${JSON.stringify(error)}}`;
}
