import { Annotation } from '../../../api/group.ts';
import type { PodSpec, PodTemplateSpec } from '../../kube/wire.ts';
import { canonical } from './canonical.ts';
import { resources, serverContainer, terminationGracePeriodSeconds } from './container.ts';
import { guardContainer, guardVolumes } from './guard.ts';
import { type ChildInput, hasGuard, runsElsewhere } from './input.ts';
import { labels, selector, sorted } from './names.ts';
import { installer } from './package.ts';
import { mergePodTemplate } from './podtemplate.ts';
import { podSecurityContext } from './security.ts';
import { serviceAccountName } from './serviceaccount.ts';
import { shimInstaller, shimVolumes } from './stdio.ts';
import { mountedVolumes } from './volumes.ts';

/** The pod of a server, with the user's `podTemplate` merged over it. */
export function podTemplate({ server, settings, configDigest }: ChildInput): PodTemplateSpec {
  const { spec } = server;
  const parts = hasGuard(server) ? guarded({ server, settings }) : unguarded({ server, settings });
  const template: PodTemplateSpec = {
    metadata: {
      labels: sorted({ ...spec.labels, ...labels(server) }),
      ...annotations({ ...spec.annotations, ...(configDigest !== undefined && { [Annotation.ConfigDigest]: configDigest }) }),
    },
    spec: {
      serviceAccountName: serviceAccountName(server),
      automountServiceAccountToken: false,
      // Every Service of the namespace would become environment variables, in the order of their making.
      enableServiceLinks: false,
      securityContext: podSecurityContext(spec, settings.assignIDs),
      terminationGracePeriodSeconds: terminationGracePeriodSeconds(spec),
      ...parts,
      ...(spec.imagePullSecrets !== undefined && spec.imagePullSecrets.length > 0 && { imagePullSecrets: spec.imagePullSecrets }),
      ...scheduling({ server }),
    },
  };
  return canonical(mergePodTemplate(template, spec.podTemplate));
}

type Parts = Pick<PodSpec, 'initContainers' | 'containers' | 'volumes'>;

function unguarded({ server, settings }: Pick<ChildInput, 'server' | 'settings'>): Parts {
  const { spec } = server;
  const volumes = mountedVolumes(server);
  const mounts = volumes.flatMap(({ mounts }) => mounts);
  const stdio = spec.transport.type === 'Stdio';
  const initContainers = [
    ...(spec.package === undefined ? [] : [installer(spec, spec.package, settings, resources(spec))]),
    ...(stdio ? [shimInstaller(spec, settings)] : []),
  ];
  return {
    ...(initContainers.length > 0 && { initContainers }),
    containers: [serverContainer(server, settings, [...mounts, ...(stdio ? shimVolumes.mounts : [])])],
    volumes: [...volumes.map(({ volume }) => volume), ...(stdio ? shimVolumes.volumes : [])],
  };
}

/** After the installers: until the server starts there is nothing to guard. */
function guarded({ server, settings }: Pick<ChildInput, 'server' | 'settings'>): Parts {
  const guard = guardContainer(server, settings);
  const own = guardVolumes(server).map(({ volume }) => volume);
  if (runsElsewhere(server)) return { containers: [guard], volumes: own };
  const { initContainers = [], containers, volumes = [] } = unguarded({ server, settings });
  return { initContainers: [...initContainers, guard], containers, volumes: [...volumes, ...own] };
}

const annotations = (record: Readonly<Record<string, string>>) => (Object.keys(record).length === 0 ? {} : { annotations: sorted(record) });

function scheduling({ server }: Pick<ChildInput, 'server'>) {
  const { nodeSelector, tolerations, affinity, topologySpreadConstraints, priorityClassName, runtimeClassName } =
    server.spec.scheduling ?? {};
  const labelSelector = { matchLabels: selector(server) };
  return {
    ...(nodeSelector !== undefined && { nodeSelector }),
    ...(tolerations !== undefined && tolerations.length > 0 && { tolerations }),
    ...(affinity !== undefined && { affinity }),
    ...(priorityClassName !== undefined && { priorityClassName }),
    ...(runtimeClassName !== undefined && { runtimeClassName }),
    topologySpreadConstraints: topologySpreadConstraints?.map((constraint) => ({ labelSelector, ...constraint })) ?? [
      softly('kubernetes.io/hostname', labelSelector),
      softly('topology.kubernetes.io/zone', labelSelector),
    ],
  };
}

/**
 * For one pod it means nothing. It is there nevertheless, since adding it with the second pod would change the template and replace the first.
 */
const softly = (topologyKey: string, labelSelector: object) => ({
  topologyKey,
  maxSkew: 1,
  whenUnsatisfiable: 'ScheduleAnyway',
  labelSelector,
  // During a rollout only pods of the same revision count.
  matchLabelKeys: ['pod-template-hash'],
});
