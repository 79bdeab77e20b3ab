import type { ServerFacts } from '../../../mcp/discovery.ts';
import type { Era } from '../../../mcp/eras.ts';
import { printable } from '../../../mcp/excerpt.ts';
import { type Inventory, toolInventory } from '../../../mcp/inventory.ts';
import { isObject, type Json, type JsonObject } from '../../../mcp/jsonrpc.ts';
import { defaultLimits } from '../../../mcp/limits.ts';
import { probeOutcomes, type ProbeResult } from '../../../mcp/probe.ts';
import { boundedFacts } from './verification.ts';

/** What a guard says in one sentence has some hundred characters. */
const LONGEST_MESSAGE = 1024;
/** As many as `toolInventory` itself finds. */
const MOST_WARNINGS = 20;

/**
 * What the guard of a pod found out about its server; `undefined` before its first attempt. Throws on what no guard writes: whoever sits in its place gets
 * nothing into memory, metrics or status that is not of a known form and bounded.
 */
export function resultOf(page: JsonObject): ProbeResult | undefined {
  const { result, server: facts } = page;
  if (!isObject(result)) return undefined;
  const outcome = probeOutcomes.find((known) => known === result['outcome']);
  if (outcome === undefined) throw new Error('the guard reported an outcome that is none');
  const message = words(result['message'], LONGEST_MESSAGE);
  const server = isObject(facts) ? factsOf(facts) : undefined;
  if (outcome === 'Verified') {
    if (server === undefined) throw new Error('the guard listed a server that it does not know');
    return { outcome, message, server, inventory: inventoryOf(page) };
  }
  if (outcome === 'AuthenticationRequired')
    return { outcome, message, status: result['status'] === 403 ? 403 : 401, challenge: undefined, server };
  return { outcome, message, server };
}

/** Why a guard refuses what it was given, in its words; `undefined`: it does not. */
export function rejectionOf({ rejections }: JsonObject): string | undefined {
  const [first] = Array.isArray(rejections) ? (rejections as readonly Json[]) : [];
  if (!isObject(first)) return undefined;
  return words(first['message'], LONGEST_MESSAGE) || words(first['file'], LONGEST_MESSAGE);
}

function factsOf({ name, version, protocolVersions, era, capabilities }: JsonObject): ServerFacts {
  if (!isEra(era)) throw new Error('the guard reported a server of an era that there is none of');
  return boundedFacts({
    name: typeof name === 'string' ? name : '',
    version: typeof version === 'string' ? version : '',
    protocolVersions: texts(protocolVersions),
    era,
    capabilities: texts(capabilities),
  });
}

const isEra = (value: Json | undefined): value is Era => value === 'Legacy' || value === 'Modern';

function inventoryOf({ tools, duplicates, warnings }: JsonObject): Inventory {
  const listed = Array.isArray(tools) ? (tools as readonly Json[]) : [];
  if (listed.length > defaultLimits.items) throw new Error(`the guard listed more than ${defaultLimits.items} tools`);
  const read = toolInventory(listed);
  const names = new Set(read.tools.map(({ name }) => name));
  return {
    ...read,
    // The guard has left out the second of a pair already.
    duplicates: texts(duplicates).filter((name) => names.has(name)),
    warnings: texts(warnings)
      .slice(0, MOST_WARNINGS)
      .map((text) => printable(text, LONGEST_MESSAGE)),
  };
}

const words = (value: Json | undefined, most: number): string => (typeof value === 'string' ? printable(value, most) : '');

const texts = (value: Json | undefined): string[] => (Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []);
