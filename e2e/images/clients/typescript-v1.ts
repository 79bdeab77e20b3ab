import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { firstText, outcomeOf, pause, UNDER_WAY } from './outcome.ts';

/** `node typescript-v1.mjs URL`: the outcome with the official TypeScript client of the first generation, as JSON. */
const [url = ''] = process.argv.slice(2);
const client = new Client({ name: 'typescript-v1', version: '1' }, { capabilities: { elicitation: {}, sampling: {} } });
client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { username: 'ann', email: 'ann' } }));
client.setRequestHandler(CreateMessageRequestSchema, () => ({
  role: 'assistant' as const,
  model: 'none',
  content: { type: 'text' as const, text: 'sampled' },
}));
await client.connect(new StreamableHTTPClientTransport(new URL(url)));

const outcome = await outcomeOf(
  {
    tools: async () => (await client.listTools()).tools.length,
    call: async (name, args) => firstText((await client.callTool({ name, arguments: args })).content),
    progress: async (name) => {
      const seen: number[] = [];
      await client.callTool({ name, arguments: {} }, undefined, { onprogress: ({ progress }) => void seen.push(progress) });
      return seen;
    },
    giveUp: async (name, args) => {
      const abort = new AbortController();
      const pending = client.callTool({ name, arguments: args }, undefined, { signal: abort.signal }).catch(() => undefined);
      await pause(UNDER_WAY);
      abort.abort('given up');
      await pending;
    },
    resource: async (uri) => firstText((await client.readResource({ uri })).contents),
    prompt: async (name, args) => firstText((await client.getPrompt({ name, arguments: args })).messages.map(({ content }) => content)),
  },
  'legacy',
);
process.stdout.write(JSON.stringify(outcome));
await client.close();
