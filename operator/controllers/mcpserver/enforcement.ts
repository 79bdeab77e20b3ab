import { randomBytes } from 'node:crypto';
import { Annotation, guardNames } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import type { Ambient, Bundle, IssuerKeys, Pins } from '../../../mcp/policy/bundle.ts';
import { BUNDLE_FILES } from '../../../mcp/policy/bundle.ts';
import { BundleError, bundleDigest, parseBundle, parseKeys } from '../../../mcp/policy/bundlecheck.ts';
import { FIRST_PINS_KEY, PinFileError, readPins, writePins } from '../../../mcp/policy/pinfile.ts';
import { type ListedInventory, toolListName } from '../../../mcp/tool-list.ts';
import type { Client } from '../../kube/client.ts';
import { isKubeError, type KubeErrorCode } from '../../kube/errors.ts';
import { type Key, keyOf, type KubeObject } from '../../kube/object.ts';
import { ConfigMaps, Secrets } from '../../kube/resources.ts';
import type { ConfigMap, Secret } from '../../kube/wire.ts';
import { ownerFrom } from '../../runtime/ownership.ts';
import { type BundleInput, compileBundle, type CompiledBundle } from '../../../compiler/bundle.ts';
import { candidatesFor } from '../mcptoolpolicy/controller.ts';
import { headerData, headersIn } from './guard.ts';
import { hasGuard } from './input.ts';
import type { HeldKeys, ServerKeys } from './issuerkeys.ts';
import { labels } from './names.ts';
import { oneLine } from './quote.ts';
import { By, type Stores } from './stores.ts';
import { listedTools } from './tools.ts';

/** What should be enforced in front of a server. */
export interface Enforced {
  readonly guarded: boolean;
  readonly compiled: CompiledBundle;
  /** Whether tools were pinned once; then they never are again by themselves. */
  readonly pinned: boolean;
  /** They should be there, and cannot be had or made now: why. */
  readonly pinsMissing: string | undefined;
  /** Tokens that are refused because the keys of their issuers cannot be had: whose, and why. */
  readonly keysMissing: string | undefined;
  /** Keys that may be out of date: whose, and why. */
  readonly keysStale: string | undefined;
  /** Those in `keys.json`. */
  readonly keys: IssuerKeys;
  /** Headers whose values stand in the spec, by key of the ConfigMap. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface EnforcementSettings {
  readonly operatorNamespace: string | undefined;
  readonly clusterDomain: string;
  readonly ambient: Ambient;
}

export interface EnforcementOptions {
  readonly client: Client;
  readonly stores: Stores;
  readonly serverKeys: ServerKeys;
  readonly settings: EnforcementSettings;
  /** The last complete inventory, if this process has one. */
  readonly inventory: (key: Key) => ListedInventory | undefined;
  readonly now: () => Date;
}

interface Held {
  readonly bundle: Bundle;
  readonly digest: string;
  readonly keys: IssuerKeys;
  readonly headers: Readonly<Record<string, string>>;
}

interface PinState {
  readonly pins: Pins | undefined;
  readonly pinned: boolean;
  readonly missing: string | undefined;
}

/** No word of the API server on what was asked: the whole reconciliation is repeated soon. */
const UNANSWERED: readonly KubeErrorCode[] = ['Network', 'Fenced', 'Timeout', 'ServiceUnavailable', 'TooManyRequests'];

/** How long after asking for the sealing keys they are not asked for again, milliseconds. */
const KEYS_RETRY = 60_000;
/** Two keys of this many bytes: the one that seals, and the one that was before it. */
const KEY_BYTES = 32;

/** Works out what guards enforce and makes what they need beside it: pins and keys, each once. */
export class Enforcement {
  readonly #options: EnforcementOptions;
  /** By key of the server: content of its pins, by version. */
  readonly #pins = new Map<Key, { readonly version: string; readonly pins: Pins | PinFileError }>();
  /** By uid of the server: when its keys were last asked for. */
  readonly #keysAsked = new Map<string, number>();
  readonly #previous = new WeakMap<ConfigMap, { readonly bundle: Bundle | undefined }>();
  /** What was last worked out for a server, whether or not it is applied yet. */
  readonly #last = new Map<Key, Enforced>();
  /** What that was made from. */
  readonly #inputs = new Map<Key, readonly unknown[]>();

  constructor(options: EnforcementOptions) {
    this.#options = options;
  }

  /**
   * The policies and pins of a server, compiled. `accepted` false: its spec is refused. Guards that run go on taking policies, pins and keys then, while
   * what comes of the spec stays as they were started for; `undefined` where there are none, or nobody knows any more what that was.
   */
  async of(server: MCPServer & KubeObject, key: Key, accepted: boolean, signal: AbortSignal): Promise<Enforced | undefined> {
    const { stores, serverKeys, settings, inventory, now } = this.#options;
    const live = this.#live(server);
    const held = this.#held(server, key, live);
    const guarded = accepted ? hasGuard(server) : held !== undefined;
    if (!accepted && !guarded && hasGuard(server)) return undefined;
    const state: PinState = guarded
      ? await this.#pinState(server, key, live, signal)
      : { pins: undefined, pinned: false, missing: undefined };
    const before = heldKeys(held);
    const { clusterIssuer, keys: wanted, missing, stale } = await serverKeys.of(server, key, before, signal);
    const keys = accepted ? wanted : refreshed(before.keys, wanted);
    const policies = candidatesFor(server, stores.policies, settings.operatorNamespace);
    const replicas = Math.max(1, stores.deployments.get(key)?.spec?.replicas ?? server.spec.replicas);
    const found = inventory(key);
    const compiled = this.#compiled(
      key,
      [
        server.metadata.uid,
        server.metadata.generation,
        JSON.stringify(server.metadata.labels),
        accepted,
        clusterIssuer,
        state.pins,
        replicas,
        held?.digest,
        found?.digest ?? this.#listedVersion(server),
        ...Object.entries(keys.issuers).flatMap(([issuer, set]) => [issuer, set.source, set.keys]),
        ...policies,
      ],
      () => ({
        server,
        policies,
        operatorNamespace: settings.operatorNamespace,
        clusterDomain: settings.clusterDomain,
        clusterIssuer,
        ambient: settings.ambient,
        pins: state.pins,
        keys,
        replicas,
        previous: held?.bundle,
        refused: !accepted,
        known: known(found?.tools ?? this.#listed(server)),
        now: now().getTime(),
      }),
    );
    const enforced: Enforced = {
      guarded,
      compiled,
      pinned: state.pinned,
      pinsMissing: state.missing,
      keysMissing: missing,
      keysStale: stale,
      keys,
      headers: accepted ? headerData(server.spec) : (held?.headers ?? {}),
    };
    this.#last.set(key, enforced);
    return enforced;
  }

  /** Nearly every reconciliation finds what the last one found; compiling takes as long as all the rest of it. */
  #compiled(key: Key, inputs: readonly unknown[], input: () => BundleInput): CompiledBundle {
    // Warnings tell of rules that have expired: an hour later at most.
    const all = [...inputs, Math.floor(this.#options.now().getTime() / 3_600_000)];
    const last = this.#last.get(key);
    if (last !== undefined && isSame(all, this.#inputs.get(key))) return last.compiled;
    this.#inputs.set(key, all);
    return compileBundle(input());
  }

  /**
   * Sees to it that the Secret with the sealing keys exists. It is created, never read: the operator may not. So it is asked for when nothing of the
   * guard exists yet, and when a kubelet says that it is not there.
   */
  async ensureKeys(server: MCPServer & KubeObject, key: Key, signal: AbortSignal): Promise<void> {
    const { uid = '', namespace = '' } = server.metadata;
    const { client, now } = this.#options;
    const name = guardNames(server.metadata.name).keys;
    const asked = this.#keysAsked.get(uid);
    const lost = this.#isMissed(key, name);
    if (asked === undefined ? this.#live(server) !== undefined && !lost : !lost || now().getTime() - asked < KEYS_RETRY) return;
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace, labels: labels(server), ownerReferences: [ownerFrom(server).reference] },
      type: 'Opaque',
      data: { current: randomBytes(KEY_BYTES).toString('base64'), previous: randomBytes(KEY_BYTES).toString('base64') },
    } as Secret;
    try {
      await client.create(Secrets, secret, { signal });
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
    }
    this.#keysAsked.set(uid, now().getTime());
  }

  forget(key: Key): void {
    this.#pins.delete(key);
    this.#options.serverKeys.forget(key);
    this.#last.delete(key);
    this.#inputs.delete(key);
  }

  #isMissed(key: Key, secret: string): boolean {
    const { pods, warnings } = this.#options.stores;
    return pods
      .by(By.Server, key)
      .some(({ metadata }) => warnings.by(By.Pod, keyOf(metadata)).some(({ note = '' }) => note.includes(`"${secret}" not found`)));
  }

  /** The ConfigMap of the bundle, if it is this server's: not that of an earlier one of the same name. */
  #live({ metadata: { namespace = '', name, uid } }: MCPServer): ConfigMap | undefined {
    const found = this.#options.stores.configMaps.get(keyOf({ namespace, name: guardNames(name).policy }));
    return found?.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true ? found : undefined;
  }

  /**
   * The bundle that the guards of a server hold, by what this process worked out or an earlier one applied. A ConfigMap that somebody edited since is not
   * believed: status has the digest of what was applied.
   */
  #held(server: MCPServer, key: Key, live: ConfigMap | undefined): Held | undefined {
    const last = this.#last.get(key);
    if (last !== undefined && last.compiled.bundle.server.uid === server.metadata.uid)
      return last.guarded ? { ...last.compiled, keys: last.keys, headers: last.headers } : undefined;
    const bytes = live?.data?.[BUNDLE_FILES.bundle];
    if (live === undefined || bytes === undefined || bundleDigest(bytes) !== server.status?.policyDigest) return undefined;
    const bundle = this.#bundleOf(live);
    if (bundle === undefined) return undefined;
    const keys = readable(parseKeys, live.data?.[BUNDLE_FILES.keys]) ?? NO_KEYS;
    return { bundle, digest: bundleDigest(bytes), keys, headers: headersIn(live.data) };
  }

  /** What an earlier process has seen. */
  #listed(server: MCPServer): ReturnType<typeof listedTools> {
    const { namespace = '' } = server.metadata;
    return listedTools(server, (name) => this.#options.stores.configMaps.get(keyOf({ namespace, name })));
  }

  #listedVersion({ metadata: { namespace = '', name } }: MCPServer): string | undefined {
    return this.#options.stores.configMaps.get(keyOf({ namespace, name: toolListName(name, 0) }))?.metadata.resourceVersion;
  }

  #bundleOf(live: ConfigMap): Bundle | undefined {
    const known = this.#previous.get(live) ?? { bundle: readable(parseBundle, live.data?.[BUNDLE_FILES.bundle]) };
    this.#previous.set(live, known);
    return known.bundle;
  }

  async #pinState(server: MCPServer, key: Key, live: ConfigMap | undefined, signal: AbortSignal): Promise<PinState> {
    const { stores, inventory } = this.#options;
    const { namespace = '', name, uid } = server.metadata;
    const pinsName = guardNames(name).pins;
    const found = stores.existing.ConfigMap.get(keyOf({ namespace, name: pinsName }));
    if (found !== undefined) {
      const pins = await this.#read(found, key, signal);
      return pins instanceof Error
        ? { pins: undefined, pinned: true, missing: `ConfigMap ${pinsName} cannot be read: ${pins.message}` }
        : { pins, pinned: true, missing: undefined };
    }
    if (live?.metadata.annotations?.[Annotation.Pinned] === uid) {
      return {
        pins: undefined,
        pinned: true,
        missing: `ConfigMap ${pinsName} is gone: no hint of the server makes a tool less dangerous until it exists again`,
      };
    }
    const tools = inventory(key)?.tools;
    if (tools === undefined) return { pins: undefined, pinned: false, missing: undefined };
    return this.#pin(server, tools, signal);
  }

  async #read({ metadata }: KubeObject, key: Key, signal: AbortSignal): Promise<Pins | PinFileError> {
    const version = `${metadata.uid}.${metadata.resourceVersion}`;
    const known = this.#pins.get(key);
    if (known?.version === version) return known.pins;
    const { data = {} } = await this.#options.client.get(ConfigMaps, metadata, { signal });
    let pins: Pins | PinFileError;
    try {
      pins = readPins(data);
    } catch (error) {
      if (!(error instanceof PinFileError)) throw error;
      pins = error;
    }
    this.#pins.set(key, { version, pins });
    return pins;
  }

  /** Trusts the tools as the server first listed them. The ConfigMap is nobody's child: it outlives mistakes with the server, and Git may own it. */
  async #pin(server: MCPServer, tools: ListedInventory['tools'], signal: AbortSignal): Promise<PinState> {
    const { client, stores } = this.#options;
    const { namespace = '', name } = server.metadata;
    const wish: ConfigMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: guardNames(name).pins, namespace, labels: labels(server) },
      data: { [FIRST_PINS_KEY]: writePins(tools) },
    };
    try {
      stores.existing.ConfigMap.written(await client.create(ConfigMaps, wish, { fieldManager: PINS_FIELD_MANAGER, signal }));
    } catch (error) {
      // Somebody else's, which the watch brings.
      if (isKubeError(error, 'AlreadyExists')) return { pins: undefined, pinned: true, missing: undefined };
      if (!isKubeError(error) || UNANSWERED.includes(error.code)) throw error;
      // A quota, a webhook or too many tools: policies are enforced nevertheless. Not pinned, so that the next reconciliation tries again.
      const why = `ConfigMap ${wish.metadata.name} cannot be created: ${oneLine(error.message)}`;
      return { pins: undefined, pinned: false, missing: `${why}; no hint of the server makes a tool less dangerous until it exists` };
    }
    return { pins: readPins(wish.data ?? {}), pinned: true, missing: undefined };
  }
}

/** Each writer of pins has its own, so that what Git or an approval wrote stays theirs. */
const PINS_FIELD_MANAGER = 'mcp-fleet-operator-pins';

const known = (tools: BundleInput['known']['tools'] | undefined): BundleInput['known'] => (tools === undefined ? {} : { tools });

const isSame = (a: readonly unknown[], b: readonly unknown[] | undefined): boolean =>
  a.length === b?.length && a.every((value, index) => value === b[index]);

const NO_KEYS: IssuerKeys = { issuers: {} };

const heldKeys = (held: Held | undefined): HeldKeys => ({
  clusterIssuer: held?.bundle.authentication.serviceAccounts?.issuer,
  keys: held?.keys ?? NO_KEYS,
});

/** Keys of the issuers that the guards know, newer where the refused spec still takes them from the same place. */
const refreshed = (held: IssuerKeys, wanted: IssuerKeys): IssuerKeys => ({
  issuers: Object.fromEntries(
    Object.entries(held.issuers).map(([issuer, set]) => {
      const newer = wanted.issuers[issuer];
      return [issuer, newer !== undefined && newer.source === set.source ? newer : set];
    }),
  ),
});

function readable<T>(parse: (bytes: string) => T, bytes: string | undefined): T | undefined {
  if (bytes === undefined) return undefined;
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof BundleError) return undefined;
    throw error;
  }
}
