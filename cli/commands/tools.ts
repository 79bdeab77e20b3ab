import { printable } from '../../mcp/excerpt.ts';
import { toolClass } from '../../mcp/inventory.ts';
import type { PinState } from '../../mcp/policy/decision.ts';
import type { ListedTool } from '../../mcp/tool-list.ts';
import type { Context } from '../context.ts';
import { print } from '../output.ts';
import { findPins, pinStates } from '../pins.ts';
import { findServer } from '../server.ts';
import { table } from '../table.ts';
import { toolsOf } from '../toolinventory.ts';
import { hintWords, shortDigest } from '../toolwords.ts';

/** The tools of a server as the operator last saw them, and whether they are what is trusted. */
export async function tools(context: Context, name: string): Promise<void> {
  const { api, terminal, namespace } = context;
  const server = await findServer(api, namespace, name);
  const list = await toolsOf(api, server);
  const guarded = server.spec.guard.enabled;
  const states = guarded ? pinStates(list, (await findPins(api, namespace, name, '')).pins) : [];
  const { digest } = server.status?.tools ?? {};
  print(terminal, context.output, {
    data: {
      server: name,
      namespace,
      digest,
      tools: list.map((tool, at) => ({ ...tool, class: toolClass(tool.hints), ...(guarded ? { pin: states[at] } : {}) })),
    },
    names: list.map((tool) => printable(tool.name)),
    text: () =>
      list.length === 0
        ? `${name} has no tools.\n`
        : `${table(
            ['name', 'class', 'hints', ...(guarded ? ['pin'] : []), 'title', 'digest'],
            list.map((tool, at) => row(tool, states[at])),
          )}${advice(name, states)}`,
  });
}

function row({ name, title, hints, digest }: ListedTool, state: PinState | undefined): readonly string[] {
  return [
    printable(name, 80),
    toolClass(hints),
    hintWords({ hints }),
    ...(state === undefined ? [] : [state]),
    printable(title ?? '', 50),
    shortDigest(digest),
  ];
}

function advice(server: string, states: readonly PinState[]): string {
  const open = states.filter((state) => state !== 'match').length;
  return open === 0 ? '' : `\n${open} of them not trusted as they are: mcp-fleet tools approve ${server} shows them.\n`;
}
