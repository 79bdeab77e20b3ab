import type { Desired } from '../../runtime/children.ts';
import { clusterRole, clusterRoleBindings, roleBindings, roles } from './access.ts';
import { autoscaler } from './autoscaler.ts';
import { deployment } from './deployment.ts';
import { disruptionBudget } from './disruptionbudget.ts';
import { httpRoute } from './httproute.ts';
import { ingress } from './ingress.ts';
import type { ChildInput } from './input.ts';
import { networkPolicy } from './networkpolicy.ts';
import { podMonitor } from './podmonitor.ts';
import { policyConfigMap } from './policyconfigmap.ts';
import { service } from './service.ts';
import { serviceAccount } from './serviceaccount.ts';

/** What a pod needs to start, and what protects it, before the pod; roles before what binds them. */
const first = [serviceAccount, policyConfigMap, networkPolicy, clusterRole];
/** The Service is here, because allocating its address is the slowest write of all. */
const second = [deployment, service, autoscaler, disruptionBudget, ingress, httpRoute, podMonitor];

/** All children of a server that its spec asks for, in the two stages in which they are applied. */
export function children(input: ChildInput): readonly [first: readonly Desired[], second: readonly Desired[]] {
  const made = (list: readonly ((input: ChildInput) => Desired | undefined)[]) =>
    list.map((child) => child(input)).filter((child) => child !== undefined);
  return [
    [...made(first), ...roles(input)],
    [...made(second), ...roleBindings(input), ...clusterRoleBindings(input)],
  ];
}
