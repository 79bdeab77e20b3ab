import type { MCPToolPolicy } from '../api/mcptoolpolicy.ts';
import { PolicyAcceptedReason } from '../api/policyconditions.ts';
import { policyForm, policySpec, PolicySpecError } from '../api/policyform.ts';
import type { PolicyIdentity, ValidPolicy } from '../mcp/policy/bundle.ts';
import { BundleError, checkPolicy } from '../mcp/policy/bundlecheck.ts';

type Form = Omit<ValidPolicy, keyof PolicyIdentity>;

/** Why a policy is not accepted. Only another spec mends it. */
export class PolicyProblem extends Error {
  readonly reason: typeof PolicyAcceptedReason.InvalidSpec | typeof PolicyAcceptedReason.NamespacesNotAllowed;

  constructor(reason: PolicyProblem['reason'], problem: string, options?: ErrorOptions) {
    super(problem, options);
    this.name = 'PolicyProblem';
    this.reason = reason;
  }
}

/** Objects of a store never change, one policy may select a thousand servers, and its expressions take time to check. */
const forms = new WeakMap<MCPToolPolicy, Form | PolicyProblem>();

/** What guards make of a policy. Throws `PolicyProblem`. */
export function policyFormOf(stored: MCPToolPolicy, operatorNamespace: string | undefined): Form {
  // Admission refuses it; should that be missing, it must not look like a policy that does what it says.
  if (stored.spec.namespaces !== undefined && stored.metadata.namespace !== operatorNamespace) {
    throw new PolicyProblem(
      PolicyAcceptedReason.NamespacesNotAllowed,
      "spec.namespaces: only policies in the operator's own namespace may have it",
    );
  }
  const known = forms.get(stored) ?? readForm(stored);
  forms.set(stored, known);
  if (known instanceof PolicyProblem) throw known;
  return known;
}

function readForm(stored: MCPToolPolicy): Form | PolicyProblem {
  const { namespace = '', name, generation = 0 } = stored.metadata;
  try {
    const form: Form = policyForm(policySpec(stored.spec));
    checkPolicy({ namespace, name, generation, tier: 'namespace', ...form });
    return form;
  } catch (error) {
    if (!(error instanceof PolicySpecError || error instanceof BundleError)) throw error;
    return new PolicyProblem(PolicyAcceptedReason.InvalidSpec, error.message, { cause: error });
  }
}
