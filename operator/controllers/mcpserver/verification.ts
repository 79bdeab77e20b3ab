import { VerifiedReason } from '../../../api/conditions.ts';
import type { MCPServer, MCPServerStatus } from '../../../api/mcpserver.ts';
import { milliseconds } from '../../../api/schema/duration.ts';
import { printable } from '../../../mcp/excerpt.ts';
import type { ServerFacts } from '../../../mcp/discovery.ts';
import type { ProbeResult } from '../../../mcp/probe.ts';
import type { ListedInventory } from '../../../mcp/tool-list.ts';
import { type Condition, conditionOf, timestamp } from '../../runtime/conditions.ts';
import { toolsStatus } from './tools.ts';

/** What the last verification found. */
export interface VerificationResult {
  readonly outcome: ProbeResult['outcome'];
  readonly message: string;
  readonly server: ServerFacts | undefined;
  readonly inventory: ListedInventory | undefined;
  readonly at: Date;
}

export interface VerificationState {
  readonly condition: { readonly status: Condition['status']; readonly reason: keyof typeof VerifiedReason; readonly message: string };
  readonly server: MCPServerStatus['server'];
  readonly tools: MCPServerStatus['tools'];
  readonly verification: MCPServerStatus['verification'];
}

/**
 * The condition `Verified` and what status says about server and tools. Without a result of this process (it has just started, or the server's
 * pods are gone) what status says already stays, so that a restart writes nothing and an outage does not erase what is known.
 */
export function verificationState(server: MCPServer, result: VerificationResult | undefined): VerificationState {
  const { status } = server;
  const before = conditionOf(status?.conditions as readonly Condition[] | undefined, 'Verified');
  if (result === undefined) {
    const condition =
      before === undefined || before.status === 'Unknown'
        ? { status: 'Unknown' as const, reason: VerifiedReason.Pending, message: 'The server is verified as soon as a pod is ready' }
        : { status: before.status, reason: before.reason as keyof typeof VerifiedReason, message: before.message };
    return { condition, server: status?.server, tools: status?.tools, verification: status?.verification };
  }
  const missing = missingTools(server, result);
  const worked = result.outcome === 'Verified' || result.outcome === 'AuthenticationRequired';
  const condition =
    missing.length > 0
      ? {
          status: 'False' as const,
          reason: VerifiedReason.RequiredToolMissing,
          message: `The server does not list ${missing.join(', ')} (verification.requiredTools)`,
        }
      : { status: worked ? ('True' as const) : ('False' as const), reason: VerifiedReason[result.outcome], message: result.message };
  const lastSuccessTime = worked ? successTime(server, before, result.at) : status?.verification?.lastSuccessTime;
  return {
    condition,
    server: result.server === undefined ? status?.server : serverInfo(result.server),
    tools:
      result.inventory === undefined
        ? result.outcome === 'AuthenticationRequired'
          ? undefined
          : status?.tools
        : toolsStatus(server, result.inventory),
    verification: { ...(lastSuccessTime !== undefined && { lastSuccessTime }), message: condition.message },
  };
}

function missingTools({ spec }: MCPServer, { inventory }: VerificationResult): string[] {
  if (inventory === undefined) return [];
  const names = new Set(inventory.tools.map(({ name }) => name));
  return (spec.verification.requiredTools ?? []).filter((name) => !names.has(name)).toSorted();
}

/** Whether handshake and listing worked, though a tool may be missing. */
const worksBy = (condition: Condition | undefined): boolean =>
  condition?.status === 'True' || condition?.reason === VerifiedReason.RequiredToolMissing;

/** How often a time in a status moves that nothing else has changed: each move is a write that wakes every watcher. The metric has the rest. */
const REFRESH = 3_600_000;

/** Moves at transitions, and otherwise once an hour or interval, whichever is longer. The tenth is the jitter of the schedule. */
function successTime({ spec, status }: MCPServer, before: Condition | undefined, at: Date): string {
  const last = status?.verification?.lastSuccessTime;
  if (last === undefined || !worksBy(before)) return timestamp(at);
  return at.getTime() - Date.parse(last) < Math.max(milliseconds(spec.verification.interval) * 0.9 - 1000, REFRESH) ? last : timestamp(at);
}

function serverInfo(facts: ServerFacts): NonNullable<MCPServerStatus['server']> {
  const { name, version, ...rest } = boundedFacts(facts);
  return { ...(name !== '' && { name }), ...(version !== '' && { version }), ...rest };
}

/** Within the bounds of the schema: a server may send anything. */
export const boundedFacts = ({ name, version, protocolVersions, era, capabilities }: ServerFacts) => ({
  name: printable(name, 512),
  version: printable(version, 512),
  protocolVersions: protocolVersions.slice(0, 16).map((text) => printable(text, 64)),
  era,
  capabilities: capabilities.slice(0, 64).map((text) => printable(text, 128)),
});
