import type { Connection, Exchange } from './connection.ts';
import {
  eraOf,
  isLegacy,
  legacyRevisions,
  modernRevisions,
  newestLegacy,
  newestModern,
  revisions,
  type DiscoverAnswer,
  type Era,
} from './eras.ts';
import { printable } from './excerpt.ts';
import { Fault, RefusedError } from './fault.ts';
import { isObject, type Json, type JsonObject } from './jsonrpc.ts';

/** What a server says of itself. Self-reported: for people and metrics, never for decisions. Everything is printable and bounded. */
export interface ServerFacts {
  readonly name: string;
  readonly version: string;
  /** Legacy: the negotiated revision. Modern: all that it supports. */
  readonly protocolVersions: readonly string[];
  readonly era: Era;
  /** Names of the declared capabilities, sorted. */
  readonly capabilities: readonly string[];
}

/**
 * Finds out what the server speaks and introduces us. `hint`: the era seen last time, tried first. Afterwards `connection.dialect` is set.
 * Rejects with a `Fault`, or with the signal's reason.
 */
export async function handshake(connection: Connection, exchange: Exchange, hint: Era | undefined): Promise<ServerFacts> {
  if (exchange.target.transport === 'SSE') return initialize(connection, exchange);
  if (hint !== 'Legacy') return (await discover(connection, exchange)) ?? initialize(connection, exchange);
  try {
    return await initialize(connection, exchange);
  } catch (error) {
    // The server may have been replaced by a modern one. What has nothing to do with eras stays as it is.
    if (!(error instanceof Fault) || error.kind !== 'HandshakeFailed') throw error;
    const facts = await discover(connection, exchange);
    if (facts === undefined) throw error;
    return facts;
  }
}

/** `undefined`: not a modern server. */
async function discover(connection: Connection, exchange: Exchange): Promise<ServerFacts | undefined> {
  connection.dialect = { era: 'Modern', revision: newestModern };
  const { answer, result } = await discoverAnswer(connection, exchange);
  const verdict = eraOf(answer);
  if (verdict.era === 'Legacy') return undefined;
  if (verdict.era === 'None') {
    const offered =
      verdict.supported.length > 0 ? `the server supports ${verdict.supported.join(', ')}` : refusal('server/discover', answer);
    throw new Fault(
      'HandshakeFailed',
      `no protocol revision in common: ${offered}; supported here: ${[...modernRevisions, ...legacyRevisions].join(', ')}`,
    );
  }
  connection.dialect = verdict;
  const told = result ?? (await refusing('server/discover', connection.request('server/discover', {})));
  const meta = isObject(told['_meta']) ? told['_meta'] : {};
  return facts(
    told,
    meta['io.modelcontextprotocol/serverInfo'] ?? told['serverInfo'],
    'Modern',
    revisions(told['supportedVersions']) ?? [verdict.revision],
  );
}

async function discoverAnswer(connection: Connection, exchange: Exchange): Promise<{ answer: DiscoverAnswer; result?: JsonObject }> {
  // A legacy server may leave an unknown method unanswered: half of the time remains for `initialize`. Where no connection came about there is nothing else to try.
  const half = new AbortController();
  const giveUp = (): void => {
    if (exchange.own?.connected() === false) timer = setTimeout(giveUp, 100);
    else half.abort();
  };
  let timer = setTimeout(giveUp, exchange.limits.timeoutMs / 2);
  try {
    const result = await connection.request('server/discover', {}, { signal: AbortSignal.any([exchange.signal, half.signal]) });
    return { answer: { kind: 'Result', result }, result };
  } catch (error) {
    if (error instanceof RefusedError) return { answer: { kind: 'Error', code: error.error.code, data: error.error.data } };
    if (exchange.signal.aborted) throw exchange.signal.reason;
    if (half.signal.aborted) return { answer: { kind: 'Other' } };
    if (error instanceof Fault && error.kind === 'ProtocolError') return { answer: { kind: 'Other' } };
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function initialize(connection: Connection, exchange: Exchange): Promise<ServerFacts> {
  connection.dialect = { era: 'Legacy', revision: newestLegacy };
  const params = {
    protocolVersion: newestLegacy,
    capabilities: {},
    clientInfo: { name: exchange.client.name, version: exchange.client.version },
  };
  const result = await refusing('initialize', connection.request('initialize', params));
  const revision = result['protocolVersion'];
  if (typeof revision !== 'string') throw new Fault('ProtocolError', 'the answer to initialize has no protocolVersion');
  if (!isLegacy(revision)) {
    throw new Fault(
      'HandshakeFailed',
      `the server answered initialize with revision ${printable(revision, 32)}; supported here: ${legacyRevisions.join(', ')}`,
    );
  }
  connection.dialect = { era: 'Legacy', revision };
  await connection.notify('notifications/initialized');
  return facts(result, result['serverInfo'], 'Legacy', [revision]);
}

/** A JSON-RPC error becomes the fault of the whole exchange, with the server's words. */
export async function refusing<T>(method: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    throw new Fault(
      'HandshakeFailed',
      `the server refused ${method}: error ${error.error.code} "${printable(error.error.message, 300)}"`,
      { status: error.status },
      { cause: error },
    );
  }
}

function refusal(method: string, answer: DiscoverAnswer): string {
  return answer.kind === 'Error'
    ? `the server refused ${method} with error ${answer.code}`
    : `the server did not say which revisions it supports`;
}

function facts(result: JsonObject, serverInfo: Json | undefined, era: Era, protocolVersions: readonly string[]): ServerFacts {
  const info = isObject(serverInfo) ? serverInfo : {};
  const capabilities = isObject(result['capabilities']) ? Object.keys(result['capabilities']) : [];
  return {
    name: words(info['name']),
    version: words(info['version']),
    protocolVersions,
    era,
    capabilities: capabilities
      .filter((name) => /^[\w./-]{1,64}$/.test(name))
      .toSorted()
      .slice(0, 32),
  };
}

function words(value: Json | undefined): string {
  return typeof value === 'string' ? printable(value, 128) : '';
}
