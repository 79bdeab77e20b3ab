import { GROUP, VERSION } from '../../../api/group.ts';
import type { KubeObject } from '../../kube/object.ts';
import { GRANTABLE_CLUSTER_ROLE } from '../../rights.ts';

export const ACCESS_POLICY_NAME = 'mcp-fleet-kubernetes-access';

/** The most entries that the schema allows in `kubernetesAccess.namespaces`; one validation is written for each. */
const NAMESPACES = 16;

export interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason: 'Forbidden';
}

export interface AdmissionPolicy extends KubeObject {
  readonly spec: {
    readonly failurePolicy: 'Fail';
    readonly matchConstraints: {
      readonly resourceRules: readonly {
        readonly apiGroups: readonly string[];
        readonly apiVersions: readonly string[];
        readonly operations: readonly string[];
        readonly resources: readonly string[];
      }[];
    };
    readonly matchConditions: readonly { readonly name: string; readonly expression: string }[];
    readonly variables: readonly { readonly name: string; readonly expression: string }[];
    readonly validations: readonly Validation[];
  };
}

export interface AdmissionPolicyBinding extends KubeObject {
  readonly spec: { readonly policyName: string; readonly validationActions: readonly string[] };
}

/** Whether the requester may hand out everything in the grantable ClusterRole, in one namespace or (`undefined`) everywhere. */
const mayBind = (namespace: string | undefined): string =>
  "authorizer.group('rbac.authorization.k8s.io').resource('clusterroles')" +
  (namespace === undefined ? '' : `.namespace(${namespace})`) +
  `.name('${GRANTABLE_CLUSTER_ROLE}').check('bind').allowed()`;

const remedy = `needs verb bind on ClusterRole ${GRANTABLE_CLUSTER_ROLE}`;

/**
 * Who may ask for `kubernetesAccess`: whoever could hand out the same rights without the operator. Written out one namespace per validation, since
 * a check costs 350,000 of the 1,000,000 that one expression may cost, so that a loop fails even for cluster-admin.
 */
export function accessPolicy(): AdmissionPolicy {
  const namespaces = Array.from({ length: NAMESPACES }, (_, index): Validation => {
    const namespace = `variables.namespaces[${index}]`;
    return {
      expression: `size(variables.namespaces) <= ${index} || ${mayBind(namespace)}`,
      messageExpression: `'spec.kubernetesAccess.namespaces: ' + request.userInfo.username + ' ${remedy} in namespace ' + ${namespace}`,
      reason: 'Forbidden',
    };
  });
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: ACCESS_POLICY_NAME },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [{ apiGroups: [GROUP], apiVersions: [VERSION], operations: ['CREATE', 'UPDATE'], resources: ['mcpservers'] }],
      },
      matchConditions: [
        { name: 'asks-for-access', expression: 'has(object.spec.kubernetesAccess)' },
        {
          // The ServiceAccount belongs to it: the bindings name it, so another name moves the rights there.
          name: 'access-changes',
          expression: [
            'oldObject == null',
            '!has(oldObject.spec.kubernetesAccess)',
            'oldObject.spec.kubernetesAccess != object.spec.kubernetesAccess',
            '(has(oldObject.spec.serviceAccount) && has(oldObject.spec.serviceAccount.name) ? oldObject.spec.serviceAccount.name : "") != ' +
              '(has(object.spec.serviceAccount) && has(object.spec.serviceAccount.name) ? object.spec.serviceAccount.name : "")',
          ].join(' || '),
        },
      ],
      variables: [
        {
          name: 'namespaces',
          expression: 'has(object.spec.kubernetesAccess.namespaces) ? object.spec.kubernetesAccess.namespaces : []',
        },
      ],
      validations: [
        {
          expression: mayBind('request.namespace'),
          messageExpression: `'spec.kubernetesAccess: ' + request.userInfo.username + ' ${remedy} in namespace ' + request.namespace`,
          reason: 'Forbidden',
        },
        ...namespaces,
        {
          expression: `!(has(object.spec.kubernetesAccess.clusterWide) && object.spec.kubernetesAccess.clusterWide) || ${mayBind(undefined)}`,
          messageExpression: `'spec.kubernetesAccess.clusterWide: ' + request.userInfo.username + ' ${remedy} cluster-wide'`,
          reason: 'Forbidden',
        },
      ],
    },
  };
}

export function accessPolicyBinding(): AdmissionPolicyBinding {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: ACCESS_POLICY_NAME },
    spec: { policyName: ACCESS_POLICY_NAME, validationActions: ['Deny'] },
  };
}
