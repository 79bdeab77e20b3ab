/**
 * What the conformance suite asks a server to have, in its own descriptions of the scenarios; shared by the servers of both eras and by
 * the stdio one.
 */

/** One red pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** A WAVE header without samples. */
const WAV = Buffer.from('RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0\x80>\0\0\x02\0\x10\0data\0\0\0\0', 'latin1').toString('base64');

export type Content = Record<string, unknown>;

const text = (value: string): Content => ({ type: 'text', text: value });
const image: Content = { type: 'image', data: PNG, mimeType: 'image/png' };
const resource = (uri: string, mimeType: string, value: string): Content => ({
  type: 'resource',
  resource: { uri, mimeType, text: value },
});

/** What a tool may do while it runs, as each SDK offers it. */
export interface Running {
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly progressToken: string | number | undefined;
  readonly inputResponses: Readonly<Record<string, unknown>> | undefined;
  readonly requestState: unknown;
  readonly notify: (method: string, params: Record<string, unknown>) => Promise<void>;
  readonly ask: (method: string, params: Record<string, unknown>) => Promise<Record<string, unknown>>;
  readonly seal: (state: unknown) => Promise<string>;
  /** Aborted when the client gives the call up. */
  readonly signal: AbortSignal;
  /** Ends the event stream before the answer, so that the client has to come back for it. */
  readonly closeStream: () => void;
}

export interface EverythingTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: Record<string, unknown>;
  readonly run: (running: Running) => Promise<Record<string, unknown>> | Record<string, unknown>;
}

const NOTHING = { type: 'object', properties: {} };
const one = (name: string): Record<string, unknown> => ({ type: 'object', properties: { [name]: { type: 'string' } }, required: [name] });
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

function plain(name: string, content: readonly Content[]): EverythingTool {
  return { name, description: `Returns ${name.slice('test_'.length)}`, inputSchema: NOTHING, run: () => ({ content }) };
}

/** Calls of `test_wait` that their clients gave up, by the key that each was given. */
const cancelled = new Set<string>();

const both: readonly EverythingTool[] = [
  plain('test_simple_text', [text('This is a simple text response for testing.')]),
  plain('test_image_content', [image]),
  plain('test_audio_content', [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }]),
  plain('test_embedded_resource', [resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')]),
  plain('test_multiple_content_types', [
    text('Multiple content types test:'),
    image,
    resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
  ]),
  {
    name: 'test_error_handling',
    description: 'Always fails',
    inputSchema: NOTHING,
    run: () => ({ isError: true, content: [text('This tool intentionally returns an error for testing')] }),
  },
  {
    name: 'test_tool_with_progress',
    description: 'Reports progress',
    inputSchema: NOTHING,
    run: async ({ progressToken, notify }) => {
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined) await notify('notifications/progress', { progressToken, progress, total: 100 });
        await pause();
      }
      return { content: [text('done')] };
    },
  },
  {
    name: 'test_wait',
    description: 'Answers when its client gives the call up, or after a minute',
    inputSchema: one('key'),
    run: async ({ arguments: { key }, signal }) => {
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
        setTimeout(resolve, 60_000).unref();
      });
      if (signal.aborted) cancelled.add(String(key));
      return { content: [text('waited')] };
    },
  },
  {
    name: 'test_was_cancelled',
    description: 'Whether a call of test_wait was given up',
    inputSchema: one('key'),
    run: ({ arguments: { key } }) => ({ content: [text(String(cancelled.has(String(key))))] }),
  },
  {
    name: 'json_schema_2020_12_tool',
    description: 'Has a rich schema',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } } },
      properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
      additionalProperties: false,
    },
    run: () => ({ content: [text('done')] }),
  },
];

/** Tools that need what only the legacy era has: log messages at any time, requests of the server. */
export const LEGACY_TOOLS: readonly EverythingTool[] = [
  ...both,
  {
    name: 'test_tool_with_logging',
    description: 'Logs while it runs',
    inputSchema: NOTHING,
    run: async ({ notify }) => {
      for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await notify('notifications/message', { level: 'info', data });
        await pause();
      }
      return { content: [text('done')] };
    },
  },
  {
    name: 'test_reconnection',
    description: 'Ends its stream before the answer',
    inputSchema: NOTHING,
    run: async ({ closeStream }) => {
      closeStream();
      await pause();
      return { content: [text('Reconnection test completed successfully')] };
    },
  },
  {
    name: 'test_sampling',
    description: 'Asks the client for a completion',
    inputSchema: one('prompt'),
    run: async ({ arguments: { prompt }, ask }) => {
      const messages = [{ role: 'user', content: text(String(prompt)) }];
      const { content } = await ask('sampling/createMessage', { messages, maxTokens: 100 });
      return { content: [text(`LLM response: ${JSON.stringify(content)}`)] };
    },
  },
  elicitation('test_elicitation', one('message'), {
    type: 'object',
    properties: { username: { type: 'string', description: 'A name' }, email: { type: 'string', description: 'An address' } },
    required: ['username', 'email'],
  }),
  elicitation('test_elicitation_sep1034_defaults', NOTHING, {
    type: 'object',
    properties: {
      name: { type: 'string', default: 'John Doe' },
      age: { type: 'integer', default: 30 },
      score: { type: 'number', default: 95.5 },
      status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
      verified: { type: 'boolean', default: true },
    },
  }),
  elicitation('test_elicitation_sep1330_enums', NOTHING, {
    type: 'object',
    properties: {
      untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
      titledSingle: { type: 'string', oneOf: [1, 2, 3].map((n) => ({ const: `value${n}`, title: `Option ${n}` })) },
      legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
      untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
      titledMulti: { type: 'array', items: { anyOf: [1, 2, 3].map((n) => ({ const: `value${n}`, title: `Choice ${n}` })) } },
    },
  }),
];

function elicitation(name: string, inputSchema: Record<string, unknown>, requestedSchema: Record<string, unknown>): EverythingTool {
  return {
    name,
    description: 'Asks the user',
    inputSchema,
    run: async ({ arguments: given, ask }) => {
      const answer = await ask('elicitation/create', {
        message: typeof given['message'] === 'string' ? given['message'] : 'Please fill in',
        requestedSchema,
      });
      return { content: [text(`Elicitation completed: action=${String(answer['action'])}, content=${JSON.stringify(answer['content'])}`)] };
    },
  };
}

const elicit = (message: string, property: string, type = 'string'): Record<string, unknown> => ({
  method: 'elicitation/create',
  params: { message, requestedSchema: { type: 'object', properties: { [property]: { type } }, required: [property] } },
});
const SAMPLE = {
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: text('What is the capital of France?') }], maxTokens: 100 },
};
const ROOTS = { method: 'roots/list', params: {} };

/** A tool that asks for input until it has it, by multi-round-trip requests. */
function asking(name: string, inputRequests: Readonly<Record<string, unknown>>, state?: string): EverythingTool {
  return {
    name: `test_input_required_result_${name}`,
    description: 'Needs input of the client',
    inputSchema: NOTHING,
    run: async ({ inputResponses, requestState, seal }) => {
      const complete = Object.keys(inputRequests).every((key) => typeof inputResponses?.[key] === 'object');
      if (complete && (state === undefined || requestState === state)) {
        return { content: [text(`complete: ${JSON.stringify(inputResponses)}; state-ok`)] };
      }
      return { resultType: 'input_required', inputRequests, ...(state === undefined ? {} : { requestState: await seal(state) }) };
    },
  };
}

export const MODERN_TOOLS: readonly EverythingTool[] = [
  ...both,
  asking('elicitation', { user_name: elicit('What is your name?', 'name') }),
  asking('sampling', { capital_question: SAMPLE }),
  asking('list_roots', { client_roots: ROOTS }),
  asking('capabilities', { user_name: elicit('What is your name?', 'name'), capital_question: SAMPLE }),
  asking('request_state', { confirm: elicit('Please confirm', 'ok', 'boolean') }, 'state'),
  asking('tampered_state', { confirm: elicit('Please confirm', 'ok', 'boolean') }, 'state'),
  asking('multiple_inputs', { user_name: elicit('What is your name?', 'name'), greeting: SAMPLE, client_roots: ROOTS }, 'state'),
  {
    name: 'test_input_required_result_multi_round',
    description: 'Needs two rounds of input',
    inputSchema: NOTHING,
    run: async ({ requestState, inputResponses, seal }) => {
      if (requestState === 'two' && inputResponses?.['step2'] !== undefined) return { content: [text('complete')] };
      const [key, state, message] =
        requestState === 'one' ? ['step2', 'two', 'Step 2: What is your favorite color?'] : ['step1', 'one', 'Step 1: What is your name?'];
      return {
        resultType: 'input_required',
        inputRequests: { [key]: elicit(message, key === 'step1' ? 'name' : 'color') },
        requestState: await seal(state),
      };
    },
  },
];

export const PROMPTS = [
  { name: 'test_simple_prompt', description: 'A prompt without arguments' },
  {
    name: 'test_prompt_with_arguments',
    description: 'A prompt with two arguments',
    arguments: [
      { name: 'arg1', description: 'First', required: true },
      { name: 'arg2', description: 'Second', required: true },
    ],
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'A prompt with a resource',
    arguments: [{ name: 'resourceUri', description: 'What to embed', required: true }],
  },
  { name: 'test_prompt_with_image', description: 'A prompt with an image' },
];

export const INPUT_PROMPT = { name: 'test_input_required_result_prompt', description: 'A prompt that needs input' };

export function prompt(
  name: string,
  given: Readonly<Record<string, unknown>>,
  inputs?: Readonly<Record<string, unknown>>,
): Content | undefined {
  const user = (content: Content): Content => ({ role: 'user', content });
  switch (name) {
    case 'test_simple_prompt':
      return { messages: [user(text('This is a simple prompt for testing.'))] };
    case 'test_prompt_with_arguments':
      return { messages: [user(text(`Prompt with arguments: arg1='${String(given['arg1'])}', arg2='${String(given['arg2'])}'`))] };
    case 'test_prompt_with_embedded_resource':
      return {
        messages: [
          user(resource(String(given['resourceUri']), 'text/plain', 'Embedded resource content for testing.')),
          user(text('Please process the embedded resource above.')),
        ],
      };
    case 'test_prompt_with_image':
      return { messages: [user(image), user(text('Please analyze the image above.'))] };
    case INPUT_PROMPT.name:
      return inputs?.['user_context'] === undefined
        ? { resultType: 'input_required', inputRequests: { user_context: elicit('What context should the prompt use?', 'context') } }
        : { messages: [user(text('Prompt with your context'))] };
    default:
      return undefined;
  }
}

export const RESOURCES = [
  { uri: 'test://static-text', name: 'text', description: 'Static text', mimeType: 'text/plain' },
  { uri: 'test://static-binary', name: 'binary', description: 'Static bytes', mimeType: 'image/png' },
  { uri: 'test://watched-resource', name: 'watched', description: 'Can be subscribed to', mimeType: 'text/plain' },
];

export const TEMPLATES = [
  { uriTemplate: 'test://template/{id}/data', name: 'template', description: 'Data by id', mimeType: 'application/json' },
];

export function readResource(uri: string): Content | undefined {
  if (uri === 'test://static-text') {
    return { contents: [{ uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }] };
  }
  if (uri === 'test://static-binary') return { contents: [{ uri, mimeType: 'image/png', blob: PNG }] };
  if (uri === 'test://watched-resource') return { contents: [{ uri, mimeType: 'text/plain', text: 'Watched' }] };
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id === undefined) return undefined;
  const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
  return { contents: [{ uri, mimeType: 'application/json', text: data }] };
}

export const COMPLETION = { completion: { values: ['paris', 'park', 'party'], total: 3, hasMore: false } };
