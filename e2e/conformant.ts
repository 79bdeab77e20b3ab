import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

/** The official TypeScript clients: `@modelcontextprotocol/sdk` and its successor. */
export type SDK = 'v1' | 'v2';

/** What a test needs of either. */
interface Connected {
  readonly callTool: (call: { name: string; arguments: Record<string, unknown> }) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

/**
 * A client that does what the specification demands where neither SDK does it by itself: when its session is unknown (HTTP 404), it begins a new one and
 * asks again. Everything else that goes wrong is kept as it came.
 */
export class ConformantClient {
  readonly #sdk: SDK;
  readonly #url: URL;
  readonly #fetch: typeof fetch;
  #connected: Connected | undefined;
  /** Sessions begun so far. */
  sessions = 0;
  /** What the transports reported beside the errors of calls, but for what follows from the end of a session. */
  readonly complaints: string[] = [];

  private constructor(sdk: SDK, url: URL, send: typeof fetch) {
    this.#sdk = sdk;
    this.#url = url;
    this.#fetch = send;
  }

  /** A client with a session. */
  static async connect(sdk: SDK, url: URL, send: typeof fetch = fetch): Promise<ConformantClient> {
    const client = new ConformantClient(sdk, url, send);
    await client.#begin();
    return client;
  }

  async call(name: string, args: Record<string, unknown> = {}): Promise<string> {
    for (let attempts = 1; ; attempts += 1) {
      try {
        const connected = this.#connected ?? (await this.#begin());
        return JSON.stringify(await connected.callTool({ name, arguments: args }));
      } catch (error) {
        // Sessions may end again while the pods of one after the other go; more often than this something else is wrong.
        if (!isSessionUnknown(error) || attempts === 4) throw error;
        await this.close();
      }
    }
  }

  async close(): Promise<void> {
    await this.#connected?.close();
    this.#connected = undefined;
  }

  async #begin(): Promise<Connected> {
    const info = { name: `conformant-${this.#sdk}`, version: '1' };
    const options = { capabilities: { elicitation: {} } };
    const noted = (error: Error): void => {
      if (!FOLLOWS_FROM_THE_END.test(error.message)) this.complaints.push(error.message);
    };
    if (this.#sdk === 'v1') {
      const client = new ClientV1(info, options);
      client.setRequestHandler(ElicitRequestSchema, () => ACCEPTED);
      // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the client is no EventTarget
      client.onerror = noted;
      await client.connect(new TransportV1(this.#url, { fetch: this.#fetch, reconnectionOptions: RECONNECTION }));
      this.sessions += 1;
      return (this.#connected = client);
    }
    const client = new ClientV2(info, options);
    client.setRequestHandler('elicitation/create', () => ACCEPTED);
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the client is no EventTarget
    client.onerror = noted;
    await client.connect(new TransportV2(this.#url, { fetch: this.#fetch, reconnectionOptions: RECONNECTION }));
    this.sessions += 1;
    return (this.#connected = client);
  }
}

/** As by default, but with more patience before the first attempt, milliseconds. */
const RECONNECTION = { initialReconnectionDelay: 3_000, maxReconnectionDelay: 30_000, reconnectionDelayGrowFactor: 1.5, maxRetries: 2 };

/** What the user of these clients answers to every question. */
const ACCEPTED = { action: 'accept' as const, content: { name: 'Ada', check: true } };

/** A stream that has ended is asked for again; once its session has ended, too, that is refused, and in the end given up or aborted by this client. */
const FOLLOWS_FROM_THE_END =
  /Failed to open SSE stream|Failed to reconnect SSE stream|Maximum reconnection attempts|This operation was aborted|Error POSTing to endpoint.*Session not found/s;

/** v1 has the HTTP status as `code`, v2 as `status`. */
function isSessionUnknown(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  return ('code' in error && error.code === 404) || ('status' in error && error.status === 404);
}
