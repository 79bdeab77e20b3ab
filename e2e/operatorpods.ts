import { Leases, Pods } from '../operator/kube/resources.ts';
import type { Pod } from '../operator/kube/wire.ts';
import { NAMESPACE, OPERATOR } from '../scripts/installation.ts';
import type { Fleet } from './fleet.ts';

/** Name of the pod that holds the lease. */
export async function leader({ client }: Fleet): Promise<string> {
  const { spec } = await client.get(Leases, { namespace: NAMESPACE, name: OPERATOR });
  return spec?.holderIdentity?.split('_')[0] ?? '';
}

export async function operatorPods({ client }: Fleet): Promise<Pod[]> {
  const { items } = await client.list(Pods, { namespace: NAMESPACE, labelSelector: `app.kubernetes.io/name=${OPERATOR}` });
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** Once both replicas are ready and one of them leads. Returns their restarts until now, by name. */
export async function operatorAtWork(fleet: Fleet, seconds = 120): Promise<Record<string, number>> {
  const pods = await fleet.eventually(
    () => operatorPods(fleet),
    (found) => found.length === 2 && found.every(isReady),
    seconds,
    (found) => JSON.stringify(found.map(({ metadata, status }) => [metadata.name, status?.containerStatuses])),
  );
  await fleet.eventually(
    () => leader(fleet),
    (name) => pods.some(({ metadata }) => metadata.name === name),
    seconds,
  );
  return Object.fromEntries(pods.map(({ metadata, status }) => [metadata.name, status?.containerStatuses?.[0]?.restartCount ?? 0]));
}

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
