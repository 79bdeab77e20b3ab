/** What an official client made of one server, in the words of that client's own results. */
export interface Outcome {
  readonly tools: number;
  readonly call: string;
  readonly progress: readonly number[];
  /** Whether the server learned that a call was given up. */
  readonly cancelled: string;
  readonly resource: string;
  readonly prompt: string;
  readonly elicitation: string;
  readonly sampling: string;
  /** What calling a tool that does not exist came to. */
  readonly unknown: string;
}

/** Tools by which a server asks its client, by era: by requests of its own, or by answers that need input. */
export const ASKING = {
  legacy: { elicitation: 'test_elicitation', sampling: 'test_sampling' },
  modern: { elicitation: 'test_input_required_result_elicitation', sampling: 'test_input_required_result_sampling' },
} as const;
export type Era = keyof typeof ASKING;

/** The steps that both generations of the TypeScript SDK take, each in its own words. */
export interface Steps {
  readonly tools: () => Promise<number>;
  readonly call: (name: string, args: Readonly<Record<string, string>>) => Promise<string>;
  readonly progress: (name: string) => Promise<readonly number[]>;
  /** Calls, and gives the call up once it has surely reached the server. */
  readonly giveUp: (name: string, args: Readonly<Record<string, string>>) => Promise<void>;
  readonly resource: (uri: string) => Promise<string>;
  readonly prompt: (name: string, args: Readonly<Record<string, string>>) => Promise<string>;
}

export async function outcomeOf(steps: Steps, era: Era): Promise<Outcome> {
  const key = `${process.pid}-${Date.now()}`;
  await steps.giveUp('test_wait', { key });
  return {
    tools: await steps.tools(),
    call: await steps.call('test_simple_text', {}),
    progress: await steps.progress('test_tool_with_progress'),
    resource: await steps.resource('test://template/7/data'),
    prompt: await steps.prompt('test_prompt_with_arguments', { arg1: 'a', arg2: 'b' }),
    elicitation: await steps.call(ASKING[era].elicitation, { message: 'Who are you?' }),
    sampling: await steps.call(ASKING[era].sampling, { prompt: 'Say something' }),
    unknown: await steps.call('no_such_tool', {}).catch((error: unknown) => String((error as { readonly code?: unknown }).code)),
    cancelled: await eventuallyTrue(() => steps.call('test_was_cancelled', { key })),
  };
}

/** Asks until the answer is `true`; gives up after 10 s with the last one. */
async function eventuallyTrue(ask: () => Promise<string>): Promise<string> {
  const end = performance.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (answer === 'true' || performance.now() > end) return answer;
    await pause(100);
  }
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** The text of a result's first part, which is what these servers answer with. */
export const firstText = (parts: unknown): string => (parts as readonly { readonly text?: string }[])[0]?.text ?? '';

/** How long a call takes to reach a server at most, milliseconds, before it is given up. */
export const UNDER_WAY = 500;
