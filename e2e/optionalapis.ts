import type { Resource } from '../operator/kube/object.ts';
import { CustomResourceDefinitions, HTTPRoutes, PodMonitors } from '../operator/kube/resources.ts';
import type { Fleet } from './fleet.ts';

/** Kinds that a cluster may get later, under their upstream names and with schemas that take everything. */
export const OPTIONAL_APIS: readonly Resource[] = [HTTPRoutes, PodMonitors];

/** Has the API server serve an optional kind. */
export async function installOptionalAPI({ client }: Fleet, { group, version, kind, plural }: Resource): Promise<void> {
  await client.apply(
    CustomResourceDefinitions,
    {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: `${plural}.${group}`,
        // Groups below k8s.io are refused without it.
        annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' },
      },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
        versions: [
          {
            name: version,
            served: true,
            storage: true,
            subresources: { status: {} },
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    },
    { fieldManager: 'e2e' },
  );
}
