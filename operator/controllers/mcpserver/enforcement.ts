import { randomBytes } from 'node:crypto';
import { Annotation, guardNames } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import type { Ambient, Bundle, Pins } from '../../../mcp/policy/bundle.ts';
import { BUNDLE_FILES } from '../../../mcp/policy/bundle.ts';
import { BundleError, parseBundle, parseKeys } from '../../../mcp/policy/bundlecheck.ts';
import { FIRST_PINS_KEY, PinFileError, readPins, writePins } from '../../../mcp/policy/pinfile.ts';
import type { ListedInventory } from '../../../mcp/tool-list.ts';
import type { Client } from '../../kube/client.ts';
import { isKubeError, type KubeErrorCode } from '../../kube/errors.ts';
import { type Key, keyOf, type KubeObject } from '../../kube/object.ts';
import { ConfigMaps, Secrets } from '../../kube/resources.ts';
import type { ConfigMap, Secret } from '../../kube/wire.ts';
import { ownerFrom } from '../../runtime/ownership.ts';
import { BundleSizeError, compileBundle, type CompiledBundle } from '../../../compiler/bundle.ts';
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

  constructor(options: EnforcementOptions) {
    this.#options = options;
  }

  /** The policies and pins of a server, compiled. Throws `BundleSizeError`. */
  async of(server: MCPServer & KubeObject, key: Key, signal: AbortSignal): Promise<Enforced> {
    const { stores, serverKeys, settings, inventory, now } = this.#options;
    const guarded = hasGuard(server);
    const live = this.#live(server);
    const state: PinState = guarded
      ? await this.#pinState(server, key, live, signal)
      : { pins: undefined, pinned: false, missing: undefined };
    const previous = live === undefined ? undefined : this.#bundleOf(live);
    const { clusterIssuer, keys, missing, stale } = await serverKeys.of(server, key, heldKeys(live, previous), signal);
    const tools = inventory(key)?.tools ?? this.#listed(server);
    const compiled = compileBundle({
      server,
      policies: [...stores.policies.values()],
      operatorNamespace: settings.operatorNamespace,
      clusterDomain: settings.clusterDomain,
      clusterIssuer,
      ambient: settings.ambient,
      pins: state.pins,
      keys,
      replicas: Math.max(1, stores.deployments.get(key)?.spec?.replicas ?? server.spec.replicas),
      previous,
      known: tools === undefined ? {} : { tools },
      now: now().getTime(),
    });
    return { guarded, compiled, pinned: state.pinned, pinsMissing: state.missing, keysMissing: missing, keysStale: stale };
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

  /** What an earlier process has seen. */
  #listed(server: MCPServer): ReturnType<typeof listedTools> {
    const { namespace = '' } = server.metadata;
    return listedTools(server, (name) => this.#options.stores.configMaps.get(keyOf({ namespace, name })));
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

const heldKeys = (live: ConfigMap | undefined, bundle: Bundle | undefined): HeldKeys => ({
  clusterIssuer: bundle?.authentication.serviceAccounts?.issuer,
  keys: readable(parseKeys, live?.data?.[BUNDLE_FILES.keys]) ?? { issuers: {} },
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

export { BundleSizeError };
