import { type Key, type KubeObject, keyOf, type OwnerReference } from '../kube/object.ts';
import { WaitingError } from './reconcile.ts';

/** Whom a child belongs to. */
export interface Owner {
  readonly key: Key;
  readonly uid: string;
  readonly namespace: string | undefined;
  readonly reference: OwnerReference;
}

/** The owner that `object`, as stored, is to its children. */
export function ownerFrom({ apiVersion, kind, metadata }: KubeObject): Owner {
  const { name, namespace, uid } = metadata;
  if (uid === undefined) throw new Error(`${kind} ${keyOf(metadata)} has no uid: it was never stored`);
  return {
    key: keyOf(metadata),
    uid,
    namespace,
    reference: { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true },
  };
}

export const controllerOf = ({ metadata }: KubeObject): OwnerReference | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller === true);

/**
 * The uid of the owner whose child `object` is, by its controller reference, or, where there is none (cluster-scoped
 * objects, those of other namespaces, and those whose reference somebody removed), by the annotation that applying left.
 */
export function ownerUidOf(object: KubeObject, annotation: string): string | undefined {
  return controllerOf(object)?.uid ?? annotatedUid(object, annotation);
}

/** What the annotation says, which anybody may have copied. */
export const annotatedUid = ({ metadata }: KubeObject, annotation: string): string | undefined =>
  metadata.annotations?.[annotation]?.split('.', 1)[0];

/** Name of the index that `Children` needs on the store of each kind. */
export const OWNER_INDEX = 'owner';

/** The index for `OWNER_INDEX`. `annotation` is that of `Children`. */
export const ownerIndex =
  (annotation: string) =>
  (object: KubeObject): readonly string[] => {
    const uid = ownerUidOf(object, annotation);
    return uid === undefined ? [] : [uid];
  };

/** Name of the index that `ownedAcross` needs on the store of owners, and the index. */
export const UID_INDEX = 'uid';
export const uidIndex = ({ metadata: { uid } }: KubeObject): readonly string[] => (uid === undefined ? [] : [uid]);

/** How long until a foreign object is looked for again: it carries none of our labels, so no watch tells that it left. */
const CONFLICT_RETRY = 60_000;

/** An object of a child's name belongs to somebody else. It was not touched. */
export class NameConflict extends WaitingError {
  override readonly name: string = 'NameConflict';
  readonly kind: string;
  readonly key: Key;
  /** `Kind name` of its controller, if it has one. */
  readonly heldBy: string | undefined;

  constructor(object: KubeObject) {
    const controller = controllerOf(object);
    const heldBy = controller === undefined ? undefined : `${controller.kind} ${controller.name}`;
    const key = keyOf(object.metadata);
    super(`${object.kind} ${key} exists and belongs to ${heldBy ?? 'somebody else'}`, CONFLICT_RETRY);
    this.kind = object.kind;
    this.key = key;
    this.heldBy = heldBy;
  }
}

export interface ForeignManagersOptions {
  /** Our own field managers. */
  readonly own: readonly string[];
  /** Where their fields lie. Default: the pod template. */
  readonly within?: readonly string[];
}

/** `kubectl rollout restart` writes this; on a Deployment of ours it works as on any other. */
const RESTARTED_AT = 'kubectl.kubernetes.io/restartedAt';

/** Names of those who manage fields of their own inside a part of `object`, sorted. Needs `managedFields` in the store. */
export function foreignManagers(object: KubeObject, { own, within = ['spec', 'template'] }: ForeignManagersOptions): string[] {
  const found = new Set<string>();
  for (const { manager = 'unknown', subresource, fieldsV1 } of object.metadata.managedFields ?? []) {
    if (own.includes(manager) || (subresource !== undefined && subresource !== '')) continue;
    const fields = fieldAt(fieldsV1, within);
    if (fields !== undefined && hasFieldsBut(fields, `f:${RESTARTED_AT}`)) found.add(manager);
  }
  return [...found].toSorted();
}

/** Whether `manager` owns the field, by apply. */
export const ownsField = (object: KubeObject, manager: string, path: readonly string[]): boolean =>
  (object.metadata.managedFields ?? []).some(
    (entry) => entry.manager === manager && (entry.subresource ?? '') === '' && fieldAt(entry.fieldsV1, path) !== undefined,
  );

type Fields = Readonly<Record<string, unknown>>;

function fieldAt(fields: unknown, path: readonly string[]): Fields | undefined {
  let at = fields as Fields | undefined;
  for (const member of path) at = at?.[`f:${member}`] as Fields | undefined;
  return at;
}

function hasFieldsBut(fields: Fields, ignored: string): boolean {
  const members = Object.entries(fields).filter(([key]) => key !== '.' && key !== ignored);
  if (members.length === 0) return Object.keys(fields).length === 0;
  return members.some(([, value]) => hasFieldsBut(value as Fields, ignored));
}

/**
 * A store transform that keeps of `managedFields` what `foreignManagers` and `handOverReplicas` read: entries of others
 * outside subresources, and of our own only whether we hold `spec.replicas`.
 */
export const compactManagers =
  <T extends KubeObject>(own: readonly string[]) =>
  (object: T): T => {
    const entries = object.metadata.managedFields ?? [];
    const kept = entries.flatMap((entry) => {
      const { manager = '', operation = '', subresource = '', fieldsV1 } = entry;
      if (subresource !== '') return [];
      if (!own.includes(manager)) return [{ manager, operation, fieldsV1 }];
      return fieldAt(fieldsV1, ['spec', 'replicas']) === undefined
        ? []
        : [{ manager, operation, fieldsV1: { 'f:spec': { 'f:replicas': {} } } }];
    });
    (object.metadata as { managedFields?: unknown }).managedFields = kept.length === 0 ? undefined : kept;
    return object;
  };
