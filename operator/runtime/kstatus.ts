import type { KubeObject } from '../kube/object.ts';
import type { Condition } from './conditions.ts';

interface WithStatus extends KubeObject {
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] };
}

/**
 * What of an object at rest breaks the rules by which kstatus (Flux, `kubectl wait`, Argo CD) reads it; empty when all is well.
 * Sources: cli-utils `pkg/kstatus/status/generic.go`, Kubernetes' API conventions.
 */
export function kstatusViolations(object: KubeObject): string[] {
  const { metadata, status } = object as WithStatus;
  const { generation = 0 } = metadata;
  const conditions = status?.conditions ?? [];
  const of = (type: string): Condition | undefined => conditions.find((condition) => condition.type === type);
  const isTrue = (type: string): boolean => of(type)?.status === 'True';
  const found: string[] = [];
  const check = (holds: boolean, rule: string): void => {
    if (!holds) found.push(rule);
  };

  check(status?.observedGeneration === generation, `status.observedGeneration is ${status?.observedGeneration}, not ${generation}`);
  check(of('Ready') !== undefined, 'there is no condition Ready');
  check(conditions.length === 0 || conditions[0]?.type === 'Ready', 'Ready is not the first condition');
  check(new Set(conditions.map(({ type }) => type)).size === conditions.length, 'a condition occurs twice');
  check(!(isTrue('Ready') && isTrue('Stalled')), 'Ready and Stalled are both True');
  check(!(isTrue('Ready') && isTrue('Reconciling')), 'Ready and Reconciling are both True');
  check(!(isTrue('Reconciling') && isTrue('Stalled')), 'Reconciling and Stalled are both True');
  for (const type of ['Reconciling', 'Stalled'])
    check(of(type) === undefined || isTrue(type), `${type} is present although it is not True`);
  for (const { type, status: value, reason, message, observedGeneration, lastTransitionTime } of conditions) {
    check(['True', 'False', 'Unknown'].includes(value), `${type}: status ${value}`);
    check(/^[A-Z][A-Za-z0-9]*$/.test(reason), `${type}: reason ${JSON.stringify(reason)} is not PascalCase`);
    check(typeof message === 'string', `${type}: no message`);
    check(observedGeneration === generation, `${type}: observedGeneration is ${observedGeneration}, not ${generation}`);
    check(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(lastTransitionTime), `${type}: lastTransitionTime ${lastTransitionTime}`);
  }
  return found;
}
