/**
 * Which browsers may talk to the server. A request without Origin does not come from a browser's page and is not judged here.
 * Source: MCP specification, basic/transports, "Security Warning" (DNS rebinding).
 */
export interface OriginRules {
  /** Host names, without port, under which the server is known: Service names, the pod's address, hosts of `expose`. */
  readonly hosts: readonly string[];
  /** Further origins, as browsers write them: `https://app.example.com`. */
  readonly origins: readonly string[];
}

/** Hosts that are this machine by definition. */
const LOCAL = ['localhost', '127.0.0.1', '[::1]'];

/** Whether a page of this origin may call. `null`, which sandboxed pages and files send, may not. */
export function originAllowed(origin: string, rules: OriginRules): boolean {
  if (rules.origins.includes(origin)) return true;
  const host = URL.canParse(origin) ? new URL(origin).hostname : undefined;
  if (host === undefined || host === '') return false;
  return LOCAL.includes(host) || rules.hosts.some((known) => known.toLowerCase() === host);
}

/** What a browser needs to read on an answer to a page of an allowed origin. */
export function corsHeaders(origin: string): ReadonlyMap<string, string> {
  return new Map([
    ['access-control-allow-origin', origin],
    ['access-control-expose-headers', 'Mcp-Session-Id, WWW-Authenticate, Retry-After'],
    ['vary', 'Origin'],
  ]);
}

/** What a browser asks before it sends the request itself. */
export function preflightHeaders(origin: string, requested: string | undefined): ReadonlyMap<string, string> {
  return new Map([
    ...corsHeaders(origin),
    ['access-control-allow-methods', 'GET, POST, DELETE'],
    ['access-control-allow-headers', requested ?? 'Authorization, Content-Type, Mcp-Session-Id, MCP-Protocol-Version'],
    ['access-control-max-age', '600'],
  ]);
}
