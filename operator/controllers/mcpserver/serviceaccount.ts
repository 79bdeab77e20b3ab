import { GUARD_CONTAINER } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import type { ServiceAccount } from '../../kube/wire.ts';
import type { ChildInput } from './input.ts';
import { childMeta } from './names.ts';

/** The ServiceAccount that the pods of a server run as. */
export const serviceAccountName = ({ spec, metadata }: MCPServer): string =>
  spec.serviceAccount?.name === undefined || spec.serviceAccount.name === '' ? metadata.name : spec.serviceAccount.name;

/** One per server, without a token, unless an existing one is named. */
export function serviceAccount({ server }: ChildInput): ServiceAccount | undefined {
  if (serviceAccountName(server) !== server.metadata.name) return undefined;
  const annotations = server.spec.serviceAccount?.annotations ?? {};
  // IRSA injects credentials of the cloud into every container of the pod that is not excepted; the guard shall have none.
  const guarded = server.spec.guard.enabled && annotations['eks.amazonaws.com/role-arn'] !== undefined;
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: childMeta(server, server.metadata.name, {
      ...annotations,
      ...(guarded && { 'eks.amazonaws.com/skip-containers': GUARD_CONTAINER }),
    }),
    automountServiceAccountToken: false,
  };
}
