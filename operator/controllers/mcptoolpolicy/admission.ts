import { GROUP, VERSION } from '../../../api/group.ts';
import type { AdmissionPolicy, AdmissionPolicyBinding } from '../mcpserver/admission.ts';

export const TIER_POLICY_NAME = 'mcp-fleet-policy-namespaces';

/** Only policies of the operator's own namespace reach beyond theirs. The operator ignores others anyway; this one tells the author at once. */
export function tierPolicy(operatorNamespace: string): AdmissionPolicy {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: TIER_POLICY_NAME },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [{ apiGroups: [GROUP], apiVersions: [VERSION], operations: ['CREATE', 'UPDATE'], resources: ['mcptoolpolicies'] }],
      },
      matchConditions: [{ name: 'reaches-beyond', expression: 'has(object.spec.namespaces)' }],
      variables: [],
      validations: [
        {
          expression: `request.namespace == '${operatorNamespace}'`,
          message: `spec.namespaces: only policies in namespace ${operatorNamespace}, the operator's own, may have it; remove it, and the policy holds in its own namespace`,
          reason: 'Forbidden',
        },
      ],
    },
  };
}

export function tierPolicyBinding(): AdmissionPolicyBinding {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: TIER_POLICY_NAME },
    spec: { policyName: TIER_POLICY_NAME, validationActions: ['Deny'] },
  };
}
