import type { MCPServerSpec } from '../../../api/mcpserver.ts';
import type { Container, PodSpec } from '../../kube/wire.ts';

/** A user and group that no image gives a meaning to; distroless images call it `nonroot`. */
const NOBODY = 65_532;

/** Valid in a namespace that enforces the Pod Security Standard `restricted`. Each given field wins over its default. */
export const podSecurityContext = (spec: MCPServerSpec, assignIDs: boolean): NonNullable<PodSpec['securityContext']> => ({
  runAsNonRoot: true,
  ...(assignIDs && { runAsUser: NOBODY, runAsGroup: NOBODY, fsGroup: NOBODY }),
  seccompProfile: { type: 'RuntimeDefault' },
  ...spec.podSecurityContext,
});

export const securityContext = (spec: MCPServerSpec): NonNullable<Container['securityContext']> => ({
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  ...spec.securityContext,
});

export const isRootReadOnly = ({ securityContext: given }: MCPServerSpec): boolean => given?.readOnlyRootFilesystem ?? true;
