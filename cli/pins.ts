import { guardNames } from '../api/group.ts';
import type { Pins } from '../mcp/policy/bundle.ts';
import type { PinState } from '../mcp/policy/decision.ts';
import { MAX_DIGESTS, PinFileError, readPins } from '../mcp/policy/pinfile.ts';
import { pinSets, pinState } from '../mcp/policy/toolclass.ts';
import type { ListedTool } from '../mcp/tool-list.ts';
import { CommandError, ExitCode } from './exit.ts';
import { configMaps } from './kinds.ts';
import type { KubeApi } from './kubeapi.ts';
import type { ConfigMap } from './toolinventory.ts';

/** What is trusted of a server, seen by the writer of one data key. */
export interface TrustedPins {
  /** Absent: there is no ConfigMap, so that no hint counts under `trustAnnotations: Pinned`. */
  readonly resourceVersion: string | undefined;
  /** All keys together; absent without ConfigMap. */
  readonly pins: Pins | undefined;
  readonly own: Pins;
  readonly others: Pins;
}

const NONE: Pins = { tools: {} };

/** Rejects with `CommandError` where the ConfigMap makes no sense. */
export async function findPins(api: KubeApi, namespace: string, server: string, key: string): Promise<TrustedPins> {
  const name = guardNames(server).pins;
  const map = await api.find<ConfigMap>(configMaps, namespace, name);
  if (map === undefined) return { resourceVersion: undefined, pins: undefined, own: NONE, others: NONE };
  const { [key]: text, ...others } = map.data ?? {};
  try {
    return {
      resourceVersion: map.metadata.resourceVersion,
      pins: readPins(map.data ?? {}),
      own: text === undefined ? NONE : readPins({ [key]: text }),
      others: readPins(others),
    };
  } catch (error) {
    if (!(error instanceof PinFileError)) throw error;
    throw new CommandError(ExitCode.Failed, `ConfigMap ${name} counts as missing: ${error.message}. Correct it first`, { cause: error });
  }
}

/** How each tool stands to what is trusted. */
export function pinStates(tools: readonly ListedTool[], pins: Pins | undefined): readonly PinState[] {
  const sets = pinSets(pins);
  return tools.map((tool) => pinState(sets, tool.name, tool));
}

export const digestsOf = ({ tools }: Pins, name: string): readonly string[] => (Object.hasOwn(tools, name) ? (tools[name] ?? []) : []);

/**
 * The digests of a tool in the own key once it is approved as it is: the newest first, and of the older ones as many as fit beside those that others trust, so that old
 * and new pods coexist. `undefined` where others leave no room.
 */
export function withApproval(
  { own, others }: Pick<TrustedPins, 'own' | 'others'>,
  { name, digest }: ListedTool,
): readonly string[] | undefined {
  const foreign = digestsOf(others, name);
  const room = MAX_DIGESTS - foreign.length;
  const older = digestsOf(own, name).filter((one) => one !== digest && !foreign.includes(one));
  return room < 1 ? undefined : [digest, ...older].slice(0, room);
}
