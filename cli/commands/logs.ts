import { createInterface } from 'node:readline/promises';
import { Readable } from 'node:stream';
import { Label } from '../../api/group.ts';
import type { Context } from '../context.ts';
import { CommandError, ExitCode } from '../exit.ts';
import { pods } from '../kinds.ts';
import { path, type KubeObject } from '../kubeapi.ts';
import { findServer, mainContainer } from '../server.ts';
import type { Style } from '../terminal.ts';

export interface LogOptions {
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly timestamps?: boolean;
  /** Lines from the end. Default: all. */
  readonly tail?: number;
  /** Seconds. */
  readonly since?: number;
  /** Default: that of the server, or of its guard where the server runs elsewhere. */
  readonly container?: string;
}

const colours: readonly Style[] = ['cyan', 'magenta', 'yellow', 'blue', 'green'];

/** The log of one container of a server, of all its pods. With several pods each line begins with its pod. */
export async function logs(context: Context, name: string, options: LogOptions): Promise<void> {
  const { api, terminal, namespace, signal } = context;
  const server = await findServer(api, namespace, name);
  const container = options.container ?? mainContainer(server);
  const found = await api.list<KubeObject>(pods, namespace, { labelSelector: `${Label.Server}=${name}` });
  if (found.length === 0) throw new CommandError(ExitCode.NotReady, `${name} has no pods: mcp-fleet status ${name} tells why`);
  const names = found.map(({ metadata }) => metadata.name).toSorted();
  const outcomes = await Promise.allSettled(
    names.map(async (pod, index) => {
      const prefix = names.length === 1 ? '' : `${terminal.style(colours[index % colours.length] ?? 'cyan', pod)} `;
      const body = await api.stream(`${path(pods, namespace, pod, 'log')}?${query(options, container).toString()}`, signal);
      for await (const line of createInterface({ input: Readable.from(body), crlfDelay: Infinity })) {
        terminal.data(`${prefix}${line}\n`);
      }
    }),
  );
  if (signal.aborted) return;
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  // A pod that does not run yet must not hide the logs of the others.
  if (failures.length === outcomes.length) throw failures[0];
  for (const failure of failures) terminal.err(`${failure instanceof Error ? failure.message : String(failure)}\n`);
}

function query({ follow, previous, timestamps, tail, since }: LogOptions, container: string): URLSearchParams {
  const parameters = new URLSearchParams({ container });
  if (follow === true) parameters.set('follow', 'true');
  if (previous === true) parameters.set('previous', 'true');
  if (timestamps === true) parameters.set('timestamps', 'true');
  if (tail !== undefined) parameters.set('tailLines', String(tail));
  if (since !== undefined) parameters.set('sinceSeconds', String(since));
  return parameters;
}
