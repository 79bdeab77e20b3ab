import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type Era, firstText, outcomeOf, pause, UNDER_WAY } from './outcome.ts';

/** `node typescript-v2.mjs URL legacy|modern`: the outcome with the official TypeScript client of the second generation, as JSON. */
const [url = '', wanted] = process.argv.slice(2);
const era: Era = wanted === 'modern' ? 'modern' : 'legacy';
const client = new Client(
  { name: 'typescript-v2', version: '1' },
  {
    capabilities: { elicitation: {}, sampling: {} },
    versionNegotiation: { mode: era === 'modern' ? { pin: '2026-07-28' } : 'legacy' },
  },
);
client.setRequestHandler('elicitation/create', ({ params }) => ({
  action: 'accept' as const,
  content: Object.fromEntries(Object.keys('requestedSchema' in params ? params.requestedSchema.properties : {}).map((key) => [key, 'ann'])),
}));
client.setRequestHandler('sampling/createMessage', () => ({
  role: 'assistant' as const,
  model: 'none',
  content: { type: 'text' as const, text: 'sampled' },
}));
await client.connect(new StreamableHTTPClientTransport(new URL(url)));

const outcome = await outcomeOf(
  {
    tools: async () => (await client.listTools()).tools.length,
    call: async (name, args) => firstText((await client.callTool({ name, arguments: { ...args } })).content),
    progress: async (name) => {
      const seen: number[] = [];
      await client.callTool({ name, arguments: {} }, { onprogress: ({ progress }) => void seen.push(progress) });
      return seen;
    },
    giveUp: async (name, args) => {
      const abort = new AbortController();
      const pending = client.callTool({ name, arguments: { ...args } }, { signal: abort.signal }).catch(() => undefined);
      await pause(UNDER_WAY);
      abort.abort('given up');
      await pending;
    },
    resource: async (uri) => firstText((await client.readResource({ uri })).contents),
    prompt: async (name, args) =>
      firstText((await client.getPrompt({ name, arguments: { ...args } })).messages.map(({ content }) => content)),
  },
  era,
);
process.stdout.write(JSON.stringify(outcome));
await client.close();
