import { Annotation, guardNames } from '../../../api/group.ts';
import type { ConfigMap } from '../../kube/wire.ts';
import type { ChildInput } from './input.ts';
import { childMeta } from './names.ts';

/** The bundle that the guards of a server enforce; absent without a guard. */
export function policyConfigMap({ server, bundle }: Pick<ChildInput, 'server' | 'bundle'>): ConfigMap | undefined {
  if (bundle === undefined) return undefined;
  const { metadata } = server;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: childMeta(
      server,
      guardNames(metadata.name).policy,
      // Pins are made once. Should they vanish, they must not come back as whatever the server says by then.
      bundle.pinned ? { [Annotation.Pinned]: metadata.uid ?? '' } : undefined,
    ),
    data: { ...bundle.files, ...bundle.headers },
  };
}
