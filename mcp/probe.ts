import type { Connection, Exchange, Target } from './connection.ts';
import { handshake, refusing, type ServerFacts } from './discovery.ts';
import type { Era } from './eras.ts';
import { withConnection, type ExchangeOptions } from './exchange.ts';
import { Fault } from './fault.ts';
import { emptyInventory, everyPage, toolInventory, type Inventory } from './inventory.ts';

/** The server answered the handshake and listed all its tools. */
export interface Verified {
  readonly outcome: 'Verified';
  readonly message: string;
  readonly server: ServerFacts;
  readonly inventory: Inventory;
}

/** HTTP 401 or 403: an MCP server that wants credentials. A success, but its tools are unknown. */
export interface AuthenticationRequired {
  readonly outcome: 'AuthenticationRequired';
  readonly message: string;
  readonly status: number;
  /** `WWW-Authenticate`, printable. */
  readonly challenge: string | undefined;
  /** Present where the handshake worked and only the listing was refused. */
  readonly server: ServerFacts | undefined;
}

/** `message` quotes the cause and says what to fix. */
export interface Unverified {
  readonly outcome: 'HandshakeFailed' | 'ProtocolError' | 'Timeout' | 'ConnectionRefused';
  readonly message: string;
  /** Present where the handshake worked and the listing failed. */
  readonly server: ServerFacts | undefined;
}

export type ProbeResult = Verified | AuthenticationRequired | Unverified;

/** All that there are. */
export const probeOutcomes = [
  'Verified',
  'AuthenticationRequired',
  'HandshakeFailed',
  'ProtocolError',
  'Timeout',
  'ConnectionRefused',
] as const satisfies readonly ProbeResult['outcome'][];

export interface ProbeOptions extends ExchangeOptions {
  /** The era seen last time, tried first. Forget it when the server's pods change. */
  readonly era?: Era;
}

/**
 * Verifies a server: handshake in its era, all pages of its tools, everything closed afterwards. Rejects only with the reason of `options.signal`, or
 * with a programming error; whatever the server does is a result.
 */
export async function probe(target: Target, options: ProbeOptions = {}): Promise<ProbeResult> {
  let server: ServerFacts | undefined;
  try {
    return await withConnection(target, options, async (connection, exchange) => {
      server = await handshake(connection, exchange, options.era);
      const inventory = await toolsOf(connection, exchange, server);
      return { outcome: 'Verified', message: verifiedMessage(server, inventory), server, inventory };
    });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return unverified(error, server);
  }
}

/** All tools; none where the server does not declare the capability. */
export async function toolsOf(connection: Connection, exchange: Exchange, server: ServerFacts): Promise<Inventory> {
  if (!server.capabilities.includes('tools')) return emptyInventory;
  return toolInventory(await refusing('tools/list', everyPage(connection, 'tools/list', exchange.limits)));
}

function verifiedMessage(server: ServerFacts, inventory: Inventory): string {
  const name = server.name === '' ? 'a server without a name' : `${server.name} ${server.version}`.trim();
  const tools = inventory.tools.length === 1 ? '1 tool' : `${inventory.tools.length} tools`;
  return `${name} speaks MCP ${server.protocolVersions.join(', ')} and lists ${tools}`;
}

/** The result for an exchange that failed. */
export function unverified(fault: Fault, server: ServerFacts | undefined): AuthenticationRequired | Unverified {
  const { kind, message } = fault;
  if (kind !== 'AuthenticationRequired') return { outcome: kind, message, server };
  return { outcome: kind, message, status: fault.details.status ?? 401, challenge: fault.details.challenge, server };
}
