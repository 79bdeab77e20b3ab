import { GROUP } from '../../api/group.ts';
import { KINDS } from '../../api/kinds.ts';
import { crd } from '../../api/schema/crd.ts';
import { editorSchema } from '../../api/schema/editor.ts';
import type { Artifact } from './artifact.ts';
import { yamlDocument } from './yaml.ts';

/** What `kubectl apply` without `--server-side` can carry is 256 KiB, and an older copy of the object travels with it. */
const MAX_BYTES = 200 * 1024;

/** One CustomResourceDefinition per kind. Throws if one is too big for client-side apply. */
export function crds(): readonly Artifact[] {
  return KINDS.map((kind) => {
    const content = yamlDocument(crd(kind));
    if (content.length > MAX_BYTES) throw new RangeError(`the CRD of ${kind.kind} has ${content.length} bytes; at most ${MAX_BYTES}`);
    return { path: `crds/${GROUP}_${kind.plural}.yaml`, content };
  });
}

/** One JSON schema per kind, for editors. */
export function editorSchemas(): readonly Artifact[] {
  return KINDS.map((kind) => ({
    path: `crds/schema/${kind.singular}.json`,
    content: `${JSON.stringify(editorSchema(kind), undefined, 1)}\n`,
  }));
}
