import { parse } from 'yaml';
import type { ToolClass } from '../../mcp/inventory.ts';
import type { Context } from '../context.ts';
import { policyDraft } from '../policydraft.ts';
import { print } from '../output.ts';
import { findServer } from '../server.ts';
import { toolsOf } from '../toolinventory.ts';

export interface PolicyInitOptions {
  readonly class: ToolClass;
  readonly mode: 'Enforce' | 'Audit';
}

/** Prints a policy made of the tools of a server. */
export async function policyInit(context: Context, name: string, options: PolicyInitOptions): Promise<void> {
  const { api, namespace, terminal, output } = context;
  const server = await findServer(api, namespace, name);
  const tools = await toolsOf(api, server);
  const text = policyDraft({ server: name, namespace, maximumClass: options.class, mode: options.mode, tools });
  print(terminal, output, { data: parse(text), names: [`mcptoolpolicy.mcp-fleet.dev/${name}`], text: () => text });
}
