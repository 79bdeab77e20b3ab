import { withConnection } from '../mcp/exchange.ts';
import { Fault, RefusedError } from '../mcp/fault.ts';
import type { Connection, Exchange, Target } from '../mcp/connection.ts';
import { handshake } from '../mcp/discovery.ts';
import type { ServerFacts } from '../mcp/discovery.ts';
import { everyPage, toolInventory } from '../mcp/inventory.ts';
import type { Inventory as ToolInventory, ListMethod } from '../mcp/inventory.ts';
import type { Json, JsonObject } from '../mcp/jsonrpc.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { ProbeResult } from '../mcp/probe.ts';
import { toolsOf } from '../mcp/probe.ts';
import type { ToolFacts } from '../mcp/policy/toolclass.ts';

/** What the server has, as it told the guard: the ground on which calls are decided. */
export interface Listing {
  readonly tools: ReadonlyMap<string, ToolFacts>;
  readonly prompts: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  readonly templates: ReadonlySet<string>;
}

export interface InventoryOptions {
  readonly target: Target;
  /** Milliseconds between two listings, and that one may take. */
  readonly interval: number;
  readonly timeout: number;
  readonly now: () => number;
  readonly random: () => number;
  /** Called after every listing, and with what was listed before when that was another. */
  readonly listed: (result: ProbeResult, changed: boolean) => void;
}

/** An unknown name asks for a new listing at most this often. */
const ASK_INTERVAL = 10_000;
/** After a failure: 2 s, doubled up to 5 min. */
const RETRY_FIRST = 2_000;
const RETRY_LAST = 300_000;

const NOTHING: Listing = { tools: new Map(), prompts: new Set(), resources: new Set(), templates: new Set() };

/**
 * Lists the server again and again, in its own era, over the same way as callers' requests.
 *
 * Guarantees: one listing at a time; a listing replaces the last one only when all its pages arrived; failures keep the last one; it
 * never gives up.
 */
export class Inventory {
  readonly #options: InventoryOptions;
  readonly #stopping = new AbortController();
  #listing: Listing = NOTHING;
  #result: ProbeResult | undefined;
  #verified: { readonly server: ServerFacts; readonly inventory: ToolInventory } | undefined;
  #fingerprint = '';
  #failures = 0;
  #asked = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #again = false;
  #answered = false;

  constructor(options: InventoryOptions) {
    this.#options = options;
  }

  get listing(): Listing {
    return this.#listing;
  }

  /** The outcome of the last listing. */
  get result(): ProbeResult | undefined {
    return this.#result;
  }

  /** Whether the server has answered as an MCP server once; refusing callers without credentials counts. */
  get answered(): boolean {
    return this.#answered;
  }

  /** The last complete inventory, also when a later listing failed. */
  get verified(): { readonly server: ServerFacts; readonly inventory: ToolInventory } | undefined {
    return this.#verified;
  }

  start(): void {
    void this.#list();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stopping.abort();
  }

  /** Somebody named an object that is not listed: perhaps it is new. Answers nothing, so that timing tells nothing. */
  ask(): void {
    if (this.#options.now() - this.#asked < ASK_INTERVAL) return;
    this.refresh();
  }

  /** The server's lists have changed, or may have. */
  refresh(): void {
    this.#asked = this.#options.now();
    if (this.#running) this.#again = true;
    else void this.#list();
  }

  async #list(): Promise<void> {
    clearTimeout(this.#timer);
    this.#running = true;
    this.#again = false;
    let result: ProbeResult;
    try {
      result = await this.#probe();
    } catch (error) {
      this.#running = false;
      if (this.#stopping.signal.aborted) return;
      throw error;
    }
    this.#running = false;
    if (this.#stopping.signal.aborted) return;
    this.#settle(result);
    if (this.#again) {
      void this.#list();
      return;
    }
    this.#timer = setTimeout(() => void this.#list(), this.#pause());
    this.#timer.unref();
  }

  async #probe(): Promise<ProbeResult> {
    let server: ServerFacts | undefined;
    try {
      const limits = { timeoutMs: this.#options.timeout };
      return await withConnection(this.#options.target, { limits, signal: this.#stopping.signal }, async (connection, exchange) => {
        server = await handshake(connection, exchange, this.#verified?.server.era);
        const tools = await toolsOf(connection, exchange, server);
        this.#listing = await listingOf(connection, exchange, server, tools);
        this.#verified = { server, inventory: tools };
        return { outcome: 'Verified', message: `${server.name} lists ${tools.tools.length} tools`, server, inventory: tools };
      });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const { kind, message, details } = error;
      if (kind !== 'AuthenticationRequired') return { outcome: kind, message, server };
      return { outcome: kind, message, status: details.status ?? 401, challenge: details.challenge, server };
    }
  }

  #settle(result: ProbeResult): void {
    this.#result = result;
    const good = result.outcome === 'Verified' || result.outcome === 'AuthenticationRequired';
    this.#answered ||= good;
    this.#failures = good ? 0 : this.#failures + 1;
    const before = this.#fingerprint;
    if (result.outcome === 'Verified') this.#fingerprint = fingerprint(result.inventory.digest, this.#listing);
    this.#options.listed(result, before !== '' && before !== this.#fingerprint);
  }

  #pause(): number {
    const { random, interval } = this.#options;
    if (this.#failures === 0) return interval * (0.9 + 0.2 * random());
    // A server that was never seen is starting: its pod waits for this answer.
    if (!this.#answered) return 250 + 250 * random();
    return random() * Math.min(RETRY_LAST, RETRY_FIRST * 2 ** (this.#failures - 1)) + 100;
  }
}

async function listingOf(connection: Connection, exchange: Exchange, server: ServerFacts, tools: ToolInventory): Promise<Listing> {
  const names = async (capability: string, method: ListMethod, member: string): Promise<ReadonlySet<string>> => {
    if (!server.capabilities.includes(capability)) return new Set();
    const entries = await optional(everyPage(connection, method, exchange.limits));
    return new Set(entries.flatMap((entry) => (isObject(entry) && typeof entry[member] === 'string' ? [entry[member]] : [])));
  };
  const duplicates = new Set(tools.duplicates);
  return {
    tools: new Map(
      tools.tools.map((tool) => [tool.name, { hints: tool.hints, digest: tool.digest, ambiguous: duplicates.has(tool.name) }]),
    ),
    prompts: await names('prompts', 'prompts/list', 'name'),
    resources: await names('resources', 'resources/list', 'uri'),
    templates: await names('resources', 'resources/templates/list', 'uriTemplate'),
  };
}

/** A server that declares a capability and does not know its list has nothing there. Other failures fail the listing. */
async function optional(entries: Promise<readonly Json[]>): Promise<readonly Json[]> {
  try {
    return await entries;
  } catch (error) {
    if (error instanceof RefusedError) return [];
    throw error;
  }
}

function fingerprint(tools: string, listing: Listing): string {
  return JSON.stringify([tools, [...listing.prompts].toSorted(), [...listing.resources].toSorted(), [...listing.templates].toSorted()]);
}

/** The facts of a tool as it stands in a list. Throws a `Fault` for what is no tool. */
export function factsOfEntry(definition: JsonObject): ToolFacts {
  const [tool] = toolInventory([definition]).tools;
  if (tool === undefined) throw new TypeError('a list of one tool had none');
  return { hints: tool.hints, digest: tool.digest };
}
