import type { MCPServer } from '../api/mcpserver.ts';
import type { Client } from '../operator/kube/client.ts';
import { MCPServers } from './fleet.ts';

/** Conditions as they travel, of one version of a server. */
type Conditions = NonNullable<NonNullable<MCPServer['status']>['conditions']>;

/** Every version of the MCPServers of a namespace from now on, as a watch saw them. */
export class History implements AsyncDisposable {
  readonly #versions = new Map<string, MCPServer[]>();
  readonly #stopped = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  static async of(client: Client, namespace: string): Promise<History> {
    const history = new History();
    const { items, resourceVersion } = await client.list(MCPServers, { namespace });
    for (const server of items) history.#add(server);
    history.#watching = history.#watch(client, namespace, resourceVersion);
    return history;
  }

  async #watch(client: Client, namespace: string, resourceVersion: string): Promise<void> {
    let last = resourceVersion;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await client.watch(MCPServers, { namespace, resourceVersion: last, signal }, ({ type, object }) => {
          if (type === 'ERROR') throw new Error(`the watch was ended: ${object.message}`);
          last = object.metadata.resourceVersion ?? last;
          if (type === 'ADDED' || type === 'MODIFIED') this.#add(object);
        });
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  #add(server: MCPServer): void {
    const { name } = server.metadata;
    this.#versions.set(name, [...(this.#versions.get(name) ?? []), server]);
  }

  /** Oldest first. */
  versions(name: string): readonly MCPServer[] {
    return this.#versions.get(name) ?? [];
  }

  /** The statuses that a condition had one after another: `['Unknown', 'False', 'True']`. */
  statuses(name: string, type: string): string[] {
    return runs(this.#conditions(name, type).map(({ status }) => status));
  }

  /** The reasons that a condition had one after another. */
  reasons(name: string, type: string): string[] {
    return runs(this.#conditions(name, type).map(({ reason }) => reason));
  }

  /**
   * What no observer may ever see, in words: an `observedGeneration` that goes back or is ahead, a `lastTransitionTime` that moves without its status
   * or stays with it, a condition that vanishes although it is not an abnormal one.
   */
  violations(name: string): string[] {
    const versions = this.versions(name).filter(({ status }) => status?.conditions !== undefined);
    return versions.slice(1).flatMap((after, index) => {
      const before = versions[index] ?? after;
      return [...generationViolations(before, after), ...conditionViolations(conditionsOf(before), conditionsOf(after))];
    });
  }

  #conditions(name: string, type: string): Conditions {
    return this.versions(name).flatMap((server) => conditionsOf(server).filter((condition) => condition.type === type));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#watching;
  }
}

const conditionsOf = (server: MCPServer): Conditions => server.status?.conditions ?? [];

function generationViolations(before: MCPServer, after: MCPServer): string[] {
  const { generation = 0 } = after.metadata;
  const [old = 0, observed = 0] = [before.status?.observedGeneration, after.status?.observedGeneration];
  return [
    ...(observed < old ? [`observedGeneration went from ${old} back to ${observed}`] : []),
    ...(observed > generation ? [`observedGeneration ${observed} is ahead of generation ${generation}`] : []),
    ...conditionsOf(after)
      .filter((condition) => (condition.observedGeneration ?? 0) > observed)
      .map(({ type }) => `${type} observed a later generation than the whole status`),
  ];
}

function conditionViolations(before: Conditions, after: Conditions): string[] {
  return before.flatMap((old) => {
    const now = after.find(({ type }) => type === old.type);
    if (now === undefined) return ['Reconciling', 'Stalled', 'Exposed'].includes(old.type) ? [] : [`${old.type} vanished`];
    const moved = now.lastTransitionTime !== old.lastTransitionTime;
    if (now.status === old.status) return moved ? [`${old.type}: lastTransitionTime moved while it stayed ${old.status}`] : [];
    // Times have seconds, so two transitions of one second look like one.
    const goesBack = Date.parse(now.lastTransitionTime) < Date.parse(old.lastTransitionTime);
    return goesBack ? [`${old.type}: lastTransitionTime went back`] : [];
  });
}

/** Equal neighbours count once. */
const runs = (values: readonly string[]): string[] => values.filter((value, index) => value !== values[index - 1]);
