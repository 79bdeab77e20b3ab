/** A value as it travels in JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/**
 * Merge keys of the lists in a pod template; every other list is replaced as a whole. They are Kubernetes' own `patchMergeKey` tags
 * (k8s.io/api core/v1 types.go, 1.35). `*` stands for the item of a list.
 */
export const mergeKeys: Readonly<Record<string, string>> = {
  'spec.containers': 'name',
  'spec.initContainers': 'name',
  'spec.volumes': 'name',
  'spec.imagePullSecrets': 'name',
  'spec.resourceClaims': 'name',
  'spec.schedulingGates': 'name',
  'spec.hostAliases': 'ip',
  'spec.topologySpreadConstraints': 'topologyKey',
  'spec.containers.*.env': 'name',
  'spec.containers.*.ports': 'containerPort',
  'spec.containers.*.volumeMounts': 'mountPath',
  'spec.containers.*.volumeDevices': 'devicePath',
  'spec.containers.*.resources.claims': 'name',
  'spec.initContainers.*.env': 'name',
  'spec.initContainers.*.ports': 'containerPort',
  'spec.initContainers.*.volumeMounts': 'mountPath',
  'spec.initContainers.*.volumeDevices': 'devicePath',
  'spec.initContainers.*.resources.claims': 'name',
};

/** Sources of a volume exclude each other: a patch that names another one replaces it (strategy `retainKeys`). */
const retainKeys = new Set(['spec.volumes.*', 'strategy']);

/**
 * `ours` with the user's patch merged over it, as a strategic merge patch: objects member by member, lists by the keys above or else replaced.
 * `null` removes a member; `$patch: delete` in an item removes that item. Neither argument is changed.
 */
export function mergePodTemplate<T extends object>(ours: T, patch: object | undefined): T {
  return patch === undefined ? ours : (merge(ours as unknown as Json, patch as Json, '') as unknown as T);
}

function merge(ours: Json | undefined, patch: Json, path: string): Json {
  if (Array.isArray(patch)) {
    const key = mergeKeys[path];
    const items = patch as readonly Json[];
    return key === undefined ? items : mergeList((Array.isArray(ours) ? ours : []) as readonly Json[], items, key, `${path}.*`);
  }
  if (!isObject(patch)) return patch;
  const base: JsonObject = isObject(ours) && !(retainKeys.has(path) && changesSource(ours, patch)) ? ours : {};
  const result: Record<string, Json> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue;
    if (value === null) delete result[key];
    else result[key] = merge(base[key], value, path === '' ? key : `${path}.${key}`);
  }
  return result;
}

function mergeList(ours: readonly Json[], patch: readonly Json[], key: string, path: string): Json {
  const result = [...ours];
  for (const item of patch) {
    if (!isObject(item)) {
      result.push(item);
      continue;
    }
    const at = result.findIndex((other) => isObject(other) && other[key] === item[key]);
    const before = at < 0 ? undefined : result[at];
    if (item['$patch'] === 'delete') {
      if (at >= 0) result.splice(at, 1);
    } else if (at < 0) result.push(merge(undefined, item, path));
    else result[at] = merge(before, item, path);
  }
  return result;
}

const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

function changesSource(ours: JsonObject, patch: JsonObject): boolean {
  const source = (volume: JsonObject) => Object.keys(volume).find((key) => key !== 'name' && !key.startsWith('$'));
  const next = source(patch);
  return next !== undefined && next !== source(ours);
}
