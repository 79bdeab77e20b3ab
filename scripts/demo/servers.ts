import { setTimeout as after } from 'node:timers/promises';
import type { MCPServer } from '../../api/mcpserver.ts';
import type { Kubectl } from '../../e2e/kubectl.ts';
import type { Progress } from './progress.ts';

/**
 * Waits until every MCPServer of a namespace is Ready and its guards have the newest policies, and says whenever one of them changes its reason.
 *
 * Errors: when `deadlineMs` have passed, with what each one lacks.
 */
export async function serversReady(kubectl: Kubectl, namespace: string, progress: Progress, deadlineMs: number): Promise<void> {
  const end = performance.now() + deadlineMs;
  const said = new Map<string, string>();
  for (;;) {
    const states = (await servers(kubectl, namespace)).map(state);
    for (const { name, text } of states.filter((each) => said.get(each.name) !== each.text)) {
      progress.say(`  ${name}: ${text}`);
      said.set(name, text);
    }
    if (states.length > 0 && states.every(({ ready }) => ready)) {
      return;
    }
    if (performance.now() > end) {
      const lacking = states.filter(({ ready }) => !ready).map(({ name, text }) => `${name}: ${text}`);
      throw new Error(`after ${deadlineMs / 1000} s not ready: ${lacking.join('; ')}`);
    }
    await after(1_000);
  }
}

async function servers(kubectl: Kubectl, namespace: string): Promise<readonly MCPServer[]> {
  const list = JSON.parse(await kubectl(['get', 'mcpservers', '--namespace', namespace, '-o', 'json'])) as { items: MCPServer[] };
  return list.items;
}

function state({ metadata, status }: MCPServer): { readonly name: string; readonly ready: boolean; readonly text: string } {
  const condition = status?.conditions?.find(({ type }) => type === 'Ready');
  const working = status?.conditions?.find(({ type }) => type === 'Reconciling');
  const ready = condition?.status === 'True' && working === undefined && status?.observedGeneration === metadata.generation;
  const lacking = condition?.status === 'True' ? (working ?? condition) : condition;
  const tools = status?.tools?.total;
  const detail = ready
    ? `Ready${tools === undefined ? '' : `, ${tools} tools`}`
    : `${lacking?.reason ?? 'Pending'}: ${lacking?.message ?? 'not seen yet'}`;
  return { name: metadata.name ?? '', ready, text: detail };
}
