import { Budget, type ClientInfo, type Connection, type Exchange, type Target } from './connection.ts';
import { withoutSecrets } from './excerpt.ts';
import { Fault } from './fault.ts';
import { ownSend, place } from './http.ts';
import type { Message } from './jsonrpc.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { Sse2024Connection } from './sse-2024.ts';
import { StreamableHttpConnection } from './streamable-http.ts';

export interface ExchangeOptions {
  /** Aborts everything; then the promise rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Each default is in `defaultLimits`. */
  readonly limits?: Partial<Limits>;
  /** Default: `mcp-fleet`. */
  readonly client?: ClientInfo;
  /** Called with each notification and server request that arrives before an answer. */
  readonly onMessage?: (message: Message) => void;
}

/**
 * Opens a connection, lets `use` work with it, and ends what was opened, however it went. Rejects with a `Fault` (also for the deadline), with the
 * reason of `options.signal`, or with what `use` throws.
 */
export async function withConnection<T>(
  target: Target,
  options: ExchangeOptions,
  use: (connection: Connection, exchange: Exchange) => Promise<T>,
): Promise<T> {
  const limits = { ...defaultLimits, ...options.limits };
  const deadline = AbortSignal.timeout(limits.timeoutMs);
  const own =
    target.send === undefined
      ? ownSend(target.url.origin, { timeoutMs: limits.timeoutMs, ...(target.ca === undefined ? {} : { ca: target.ca }) })
      : undefined;
  const headers = lowerCase(target.headers ?? {});
  const exchange: Exchange = {
    target: { ...target, url: withoutCredentials(target.url), headers },
    send: target.send ?? own?.send ?? unreachable,
    limits,
    client: options.client ?? { name: 'mcp-fleet', version: '0' },
    signal: options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]),
    budget: new Budget(limits.totalBytes),
    progress: { waitingFor: 'a connection' },
    secrets: Object.values(headers).flatMap(secretParts),
    ...(options.onMessage === undefined ? {} : { onMessage: options.onMessage }),
    ...(own === undefined ? {} : { own }),
  };
  const connection = target.transport === 'SSE' ? new Sse2024Connection(exchange) : new StreamableHttpConnection(exchange);
  try {
    return await use(connection, exchange);
  } catch (error) {
    if (options.signal?.aborted === true) throw options.signal.reason;
    if (error instanceof Fault) throw withoutOurSecrets(error, exchange.secrets);
    throw deadline.aborted ? timeoutFault(exchange) : error;
  } finally {
    await connection.close();
    await own?.close();
  }
}

/** Whatever part of the server's words a message quotes, it must not give our own credentials away. */
function withoutOurSecrets({ kind, message, details, cause }: Fault, secrets: readonly string[]): Fault {
  const challenge = details.challenge === undefined ? {} : { challenge: withoutSecrets(details.challenge, secrets) };
  return new Fault(kind, withoutSecrets(message, secrets), { ...details, ...challenge }, { cause });
}

function timeoutFault(exchange: Exchange): Fault {
  const seconds = `${exchange.limits.timeoutMs / 1000} s`;
  const at = place(exchange.target.url);
  if (exchange.own?.connected() === false) {
    return new Fault(
      'Timeout',
      `no connection to ${at} within ${seconds}: packets are dropped, for example by a NetworkPolicy or a firewall`,
    );
  }
  const accepted = exchange.own === undefined ? '' : 'the server accepts connections, but ';
  return new Fault(
    'Timeout',
    `${accepted}${exchange.progress.waitingFor} did not come within ${seconds} from ${at}; is it an MCP server at this port, and is it not stuck?`,
  );
}

function unreachable(): Promise<never> {
  return Promise.reject(new Error('no way to send'));
}

function lowerCase(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** `Bearer abc` is one secret, and so is `abc` alone. */
function secretParts(value: string): readonly string[] {
  const last = value.split(' ').at(-1) ?? '';
  return last === value ? [value] : [value, last];
}

function withoutCredentials(url: URL): URL {
  const clean = new URL(url);
  clean.username = '';
  clean.password = '';
  clean.hash = '';
  return clean;
}
