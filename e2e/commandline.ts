import { run } from '../cli/program.ts';
import { capture } from '../cli/testing/capture.ts';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** One command line of `mcp-fleet` as a user types it. */
export async function typed(kubeconfig: string, ...argv: string[]): Promise<Outcome> {
  const { environment, out, err } = capture({ now: new Date().toISOString() });
  const code = await run(environment, 'mcp-fleet', 'test', [...argv, '--kubeconfig', kubeconfig]);
  return { code, out: out(), err: err() };
}
