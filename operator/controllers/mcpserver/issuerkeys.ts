import type { JWTIssuer } from '../../../api/authentication.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import type { IssuerKeys, KeySet } from '../../../mcp/policy/bundle.ts';
import type { Client } from '../../kube/client.ts';
import { type Key, keyOf, type KubeObject } from '../../kube/object.ts';
import { ConfigMaps } from '../../kube/resources.ts';
import type { Store } from '../../runtime/store.ts';
import type { Issuers, IssuerState } from '../issuer/issuers.ts';
import { KeySetError, publicKeys } from '../issuer/keyset.ts';
import type { KeySource } from '../issuer/source.ts';
import type { Reference } from './references.ts';

/** The keys by which the guards of one server know callers. */
export interface KeyState {
  /** Issuer of this cluster's ServiceAccount tokens, if the server takes them and the issuer is known. */
  readonly clusterIssuer: string | undefined;
  readonly keys: IssuerKeys;
  /** Tokens that are refused because their keys cannot be had: whose, and why. */
  readonly missing: string | undefined;
  /** Keys that may be out of date because they cannot be fetched again: whose, and why. */
  readonly stale: string | undefined;
}

/** What the guards hold already. */
export interface HeldKeys {
  readonly clusterIssuer: string | undefined;
  readonly keys: IssuerKeys;
}

const NONE: KeyState = { clusterIssuer: undefined, keys: { issuers: {} }, missing: undefined, stale: undefined };

/** One issuer whose tokens a server takes. */
interface Accepted {
  /** In messages. */
  readonly title: string;
  /** Absent for the cluster's own while it is not known. */
  readonly issuer: string | undefined;
  readonly source: KeySource | NonNullable<JWTIssuer['jwks']>;
}

/** Where the guards' keys come from: issuers that are fetched, ConfigMaps that are watched, and what was in force before. */
export class ServerKeys {
  readonly #client: Client;
  readonly #issuers: Issuers;
  /** Metadata of ConfigMaps. */
  readonly #configMaps: Store;
  /** By its metadata, which is another object for every version of it. */
  readonly #read = new WeakMap<KubeObject, Readonly<Record<string, string>>>();

  constructor(client: Client, issuers: Issuers, configMaps: Store) {
    this.#client = client;
    this.#issuers = issuers;
    this.#configMaps = configMaps;
  }

  /** @param held what the guards have: it stays in force until this process knows better */
  async of(server: MCPServer, key: Key, held: HeldKeys, signal: AbortSignal): Promise<KeyState> {
    const accepted = acceptedIssuers(server);
    const fetched = accepted.flatMap(({ source }) => ('type' in source ? [source] : []));
    const states = new Map(this.#issuers.use(key, fetched).map((state, at) => [fetched[at], state]));
    if (accepted.length === 0) return NONE;
    const sets: [string, KeySet][] = [];
    let clusterIssuer: string | undefined;
    const missing: string[] = [];
    const stale: string[] = [];
    for (const { title, issuer, source } of accepted) {
      const state = 'type' in source ? (states.get(source) ?? UNKNOWN) : await this.#given(server, source, signal);
      const isCluster = 'type' in source && source.type === 'Cluster';
      const name = issuer ?? state.found?.issuer ?? held.clusterIssuer;
      const before = name === undefined ? undefined : held.keys.issuers[name];
      const keys = state.found?.keys ?? (before?.source === sourceName(source) ? before.keys : undefined);
      // The cluster's own issuer comes first, and stays the cluster's.
      if (name !== undefined && keys !== undefined && !sets.some(([other]) => other === name)) {
        sets.push([name, { source: sourceName(source), keys }]);
        if (isCluster) clusterIssuer = name;
      }
      if (state.problem !== undefined) (keys === undefined ? missing : stale).push(`${title}: ${state.problem}`);
    }
    return {
      clusterIssuer,
      keys: { issuers: Object.fromEntries(sets.toSorted(([a], [b]) => (a < b ? -1 : 1))) },
      missing: missing.length === 0 ? undefined : missing.join('; '),
      stale: stale.length === 0 ? undefined : stale.join('; '),
    };
  }

  forget(key: Key): void {
    this.#issuers.forget(key);
  }

  /** Keys that the author of the server gives. */
  async #given({ metadata }: MCPServer, { configMapKeyRef: { name, key } }: NonNullable<JWTIssuer['jwks']>, signal: AbortSignal) {
    const at = { namespace: metadata.namespace ?? '', name };
    const found = this.#configMaps.get(keyOf(at));
    if (found === undefined) return failed(`ConfigMap ${name} does not exist`);
    const text = (await this.#data(found, signal))[key];
    if (text === undefined) return failed(`ConfigMap ${name} has no key ${key}`);
    try {
      return { found: { issuer: undefined, keys: publicKeys(JSON.parse(text)) }, problem: undefined };
    } catch (error) {
      const why = error instanceof KeySetError ? error.message : 'it is not JSON';
      return failed(`key ${key} of ConfigMap ${name} cannot be used: ${why}`);
    }
  }

  async #data(found: KubeObject, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const known = this.#read.get(found);
    if (known !== undefined) return known;
    const { data = {} } = await this.#client.get(ConfigMaps, found.metadata, { signal });
    this.#read.set(found, data);
    return data;
  }
}

const UNKNOWN: IssuerState = { found: undefined, problem: undefined };
const failed = (problem: string) => ({ found: undefined, problem });

function acceptedIssuers({ spec: { authentication, guard } }: MCPServer): readonly Accepted[] {
  if (!guard.enabled || authentication.type !== 'Guard') return [];
  const { serviceAccounts, jwt = [] } = authentication;
  return [
    ...(serviceAccounts === undefined ? [] : [{ title: 'ServiceAccounts', issuer: undefined, source: { type: 'Cluster' } as const }]),
    ...jwt.map(({ name, issuer, jwks, jwksURI = '' }) => ({
      title: name,
      issuer,
      source: jwks ?? (jwksURI === '' ? ({ type: 'Discovery', issuer } as const) : ({ type: 'URL', issuer, url: jwksURI } as const)),
    })),
  ];
}

/** As it stands in `keys.json`. */
function sourceName(source: Accepted['source']): string {
  if (!('type' in source)) return `ConfigMap ${source.configMapKeyRef.name} ${source.configMapKeyRef.key}`;
  return source.type === 'URL' ? `URL ${source.url}` : source.type;
}

/** The ConfigMaps that a server's keys are in: they must exist, and a change of theirs restarts no pod. */
export const keyReferences = ({ spec }: MCPServer): Reference[] =>
  (spec.authentication.jwt ?? []).flatMap(({ jwks }) =>
    jwks === undefined
      ? []
      : [
          {
            kind: 'ConfigMap' as const,
            name: jwks.configMapKeyRef.name,
            optional: jwks.configMapKeyRef.optional ?? false,
            writable: false,
            live: true,
          },
        ],
  );
