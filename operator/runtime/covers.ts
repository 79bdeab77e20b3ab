/**
 * Whether everything `desired` says is already true of `live`.
 *
 * Fields that `desired` leaves out belong to someone else (defaults, autoscalers, people), so only its own are compared.
 * Lists that the API server merges by a key are matched by it; all others must have the same items in the same order.
 * An absent list, object or empty string counts as empty, since the API server drops those.
 */
export function covers(live: unknown, desired: unknown, path = ''): boolean {
  if (desired === undefined || desired === null) return true;
  if (Array.isArray(desired)) return coversList(live ?? [], desired, path);
  if (typeof desired === 'object') {
    if (live !== undefined && live !== null && (typeof live !== 'object' || Array.isArray(live))) return false;
    const members = live as Readonly<Record<string, unknown>> | null | undefined;
    for (const key in desired) {
      if (!covers(members?.[key], (desired as Readonly<Record<string, unknown>>)[key], key)) return false;
    }
    return true;
  }
  return live === desired || (desired === '' && live === undefined);
}

/** Whether both say the same, apart from what the API server drops. */
export const same = (a: unknown, b: unknown): boolean => covers(a, b) && covers(b, a);

/**
 * What `live` says about the fields that `desired` names. Equal projections of two live objects mean that nothing happened
 * to those fields in between, in whatever form the server stores them.
 */
export function project(live: unknown, desired: unknown, path = ''): unknown {
  if (Array.isArray(desired)) {
    const keys = keysOf(desired, path);
    if (!Array.isArray(live) || keys === undefined) return live;
    return (desired as readonly Item[]).map((item) => project(itemOf(live, item, keys), item));
  }
  if (!isItem(desired) || !isItem(live)) return live;
  return Object.keys(desired).map((key) => project(live[key], desired[key], key));
}

type Item = Readonly<Record<string, unknown>>;

/**
 * The lists that server-side apply merges item by item, by the name of their field (`x-kubernetes-list-map-keys` of
 * the built-in kinds in Kubernetes 1.35). `ports` is keyed differently in containers and Services.
 */
const LIST_KEYS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  containers: [['name']],
  initContainers: [['name']],
  ephemeralContainers: [['name']],
  env: [['name']],
  volumes: [['name']],
  volumeMounts: [['mountPath']],
  volumeDevices: [['devicePath']],
  ports: [
    ['containerPort', 'protocol'],
    ['port', 'protocol'],
  ],
  imagePullSecrets: [['name']],
  secrets: [['name']],
  hostAliases: [['ip']],
  topologySpreadConstraints: [['topologyKey', 'whenUnsatisfiable']],
  resourceClaims: [['name']],
  schedulingGates: [['name']],
  ownerReferences: [['uid']],
  conditions: [['type']],
};

/** What the API server fills in where a key is left out. */
const KEY_DEFAULTS: Readonly<Record<string, unknown>> = { protocol: 'TCP' };

function coversList(live: unknown, desired: readonly unknown[], path: string): boolean {
  if (!Array.isArray(live)) return false;
  const items: readonly unknown[] = live;
  const keys = keysOf(desired, path);
  if (keys !== undefined) {
    return (desired as readonly Item[]).every((item) => {
      const other = itemOf(items, item, keys);
      return other !== undefined && covers(other, item);
    });
  }
  if (path === 'finalizers') return desired.every((item) => items.includes(item));
  return items.length === desired.length && desired.every((item, index) => covers(items[index], item));
}

/** The keys by which the items of this list are told apart; `undefined` where only their order does. */
const keysOf = (desired: readonly unknown[], path: string): readonly string[] | undefined =>
  desired.length === 0
    ? undefined
    : LIST_KEYS[path]?.find((candidate) => desired.every((item) => isItem(item) && item[candidate[0] ?? ''] !== undefined));

const itemOf = (items: readonly unknown[], item: Item, keys: readonly string[]): unknown =>
  items.find((candidate) => isItem(candidate) && keys.every((key) => keyValue(candidate, key) === keyValue(item, key)));

const keyValue = (item: Item, key: string): unknown => item[key] ?? KEY_DEFAULTS[key];

const isItem = (item: unknown): item is Item => typeof item === 'object' && item !== null;
