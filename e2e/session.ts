/** A message of a server on its stream. */
export interface Heard {
  readonly method: string;
  /** `performance.now()` when it arrived. */
  readonly at: number;
}

const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** A legacy session at one address with its stream open, by HTTP alone: it hides nothing, mends nothing, and says what it heard. */
export class ListeningSession implements AsyncDisposable {
  readonly heard: Heard[] = [];
  /** How the stream ended; `undefined` while it is open. */
  ended: string | undefined;
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #closing = new AbortController();

  private constructor(url: URL, headers: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#headers = headers;
  }

  static async open(url: URL, credential: Readonly<Record<string, string>> = {}): Promise<ListeningSession> {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'listener', version: '1' } };
    const begun = await post(url, { ...HEADERS, ...credential }, { id: 0, method: 'initialize', params });
    if (begun.session === undefined) throw new Error(`no session at ${url.href}: ${begun.status} ${begun.text}`);
    const session = new ListeningSession(url, { ...credential, 'mcp-session-id': begun.session, 'mcp-protocol-version': '2025-11-25' });
    await session.send({ method: 'notifications/initialized' });
    await session.#listen();
    return session;
  }

  /** Posts a message; the answer as it came. */
  send(message: object): Promise<{ readonly status: number; readonly text: string }> {
    return post(this.#url, { ...HEADERS, ...this.#headers }, message);
  }

  /** Whether a call of a tool gets past the guard. */
  async allowed(tool: string): Promise<boolean> {
    const { status, text } = await this.send({ id: 1, method: 'tools/call', params: { name: tool, arguments: { message: 'x' } } });
    if (status !== 200) throw new Error(`${tool}: ${status} ${text}`);
    return text.includes('"result"') && !text.includes('mcp-fleet.dev/denied');
  }

  /** How often a list was said to have changed. */
  changes(): number {
    return this.heard.filter(({ method }) => method === 'notifications/tools/list_changed').length;
  }

  async #listen(): Promise<void> {
    const headers = { accept: 'text/event-stream', ...this.#headers };
    const response = await fetch(this.#url, { headers, signal: this.#closing.signal });
    if (response.status !== 200 || response.body === null) throw new Error(`no stream at ${this.#url.href}: ${response.status}`);
    void this.#read(response.body).then(
      () => (this.ended = 'it ended'),
      (error: unknown) => (this.ended = String(error)),
    );
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    let rest = '';
    for await (const text of body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines.filter((each) => each.startsWith('data:') && each.includes('{'))) {
        const { method } = JSON.parse(line.slice('data:'.length)) as { readonly method?: string };
        if (method !== undefined) this.heard.push({ method, at: performance.now() });
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }
}

async function post(url: URL, headers: Readonly<Record<string, string>>, message: object) {
  const body = JSON.stringify({ jsonrpc: '2.0', ...message });
  const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(20_000) });
  return { status: response.status, session: response.headers.get('mcp-session-id') ?? undefined, text: await response.text() };
}

/** The data port of the guard in a pod. */
export const guardOf = (pod: { readonly status?: { readonly podIP?: string } }): URL =>
  new URL(`http://${pod.status?.podIP ?? ''}:15080/mcp`);
