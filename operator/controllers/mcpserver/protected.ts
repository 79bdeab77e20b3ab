import { GROUP, GUARD_CONTAINER, GuardPort, Label, MCP_PORT_NAME, SERVER_CONTAINER } from '../../../api/group.ts';
import type { MCPServerSpec } from '../../../api/mcpserver.ts';
import { GUARD_VOLUME_PREFIX } from './guard.ts';
import { hasGuard } from './input.ts';

type Member = Readonly<Record<string, unknown>>;

const guardPorts: readonly number[] = Object.values(GuardPort);
const ownLabels: readonly string[] = Object.values(Label);

/** Members of a PodSpec that have a field of their own in an MCPServer, where what depends on them is decided as well. */
const ownMembers: Readonly<Record<string, string>> = {
  serviceAccountName: 'use serviceAccount.name',
  serviceAccount: 'use serviceAccount.name',
  automountServiceAccountToken: 'use kubernetesAccess, which gives the server container alone a token',
};

/** Lists that hold parts of the operator's own: a patch may add to them, not do away with them. */
const ownLists = ['containers', 'initContainers', 'volumes'] as const;

/** What would let others of the pod or node go around the guard, or take its keys. */
const sharing = ['shareProcessNamespace', 'hostNetwork', 'hostPID'] as const;

/** The first field of `podTemplate`, `labels` or `annotations` that the operator must decide itself, with the reason; `undefined` if there is none. */
export function protectedField(spec: MCPServerSpec): string | undefined {
  const { podTemplate, labels, annotations } = spec;
  const metadata: Member = podTemplate?.metadata ?? {};
  const pod: Member = podTemplate?.spec ?? {};
  return (
    ownKey('labels', labels ?? {}) ??
    ownKey('annotations', annotations ?? {}) ??
    ownKey('podTemplate.metadata.labels', asMember(metadata['labels'])) ??
    ownKey('podTemplate.metadata.annotations', asMember(metadata['annotations'])) ??
    ownMember(pod) ??
    noList(pod) ??
    (hasGuard({ spec }) ? shared(pod) : undefined) ??
    guardVolume('podTemplate.spec.volumes', pod['volumes']) ??
    container(pod, 'containers') ??
    container(pod, 'initContainers')
  );
}

function ownKey(path: string, record: Member): string | undefined {
  const key = Object.keys(record).find((name) => ownLabels.includes(name) || name.startsWith(`${GROUP}/`));
  return key === undefined ? undefined : `${path}[${key}] is the operator's own`;
}

function ownMember(pod: Member): string | undefined {
  const name = Object.keys(ownMembers).find((member) => member in pod);
  return name === undefined ? undefined : `podTemplate.spec.${name} is protected: ${ownMembers[name]}`;
}

function noList(pod: Member): string | undefined {
  const name = ownLists.find((list) => list in pod && !Array.isArray(pod[list]));
  return name === undefined ? undefined : `podTemplate.spec.${name} is protected: give a list, which is merged by name, or leave it out`;
}

function shared(pod: Member): string | undefined {
  const name = sharing.find((member) => pod[member] === true);
  return name === undefined ? undefined : `podTemplate.spec.${name} is protected: leave it out, or set guard.enabled: false`;
}

/** In a list of volumes or of mounts. */
function guardVolume(path: string, list: unknown): string | undefined {
  const name = asList(list)
    .map((item) => item['name'])
    .find((given) => typeof given === 'string' && given.startsWith(GUARD_VOLUME_PREFIX));
  return typeof name === 'string'
    ? `${path}[${name}] is protected: names that begin with ${GUARD_VOLUME_PREFIX} are the operator's own, choose another one`
    : undefined;
}

function container(pod: Member, list: 'containers' | 'initContainers'): string | undefined {
  for (const item of asList(pod[list])) {
    const name = item['name'];
    const path = `podTemplate.spec.${list}[${typeof name === 'string' ? name : ''}]`;
    if (name === GUARD_CONTAINER) return `${path} is the operator's own`;
    if (name === SERVER_CONTAINER && list === 'containers' && ('ports' in item || item['$patch'] !== undefined)) {
      return `${path}.${'ports' in item ? 'ports' : '$patch'} is protected: use transport.port`;
    }
    const port = guardPorts.find((own) => asList(item['ports']).some(({ containerPort }) => containerPort === own));
    if (port !== undefined) return `${path}.ports: ${port} is a port of the guard`;
    if (asList(item['ports']).some((given) => given['name'] === MCP_PORT_NAME)) {
      return `${path}.ports[${MCP_PORT_NAME}] is protected: the Service finds the server by this name, choose another one`;
    }
    const mount = guardVolume(`${path}.volumeMounts`, item['volumeMounts']);
    if (mount !== undefined) return mount;
  }
  return undefined;
}

const asMember = (value: unknown): Member =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Member) : {};
const asList = (value: unknown): readonly Member[] => (Array.isArray(value) ? value.map(asMember) : []);
