import { GROUP, GUARD_CONTAINER, GuardPort, Label, SERVER_CONTAINER } from '../../../api/group.ts';
import type { MCPServerSpec } from '../../../api/mcpserver.ts';

type Member = Readonly<Record<string, unknown>>;

const guardPorts: readonly number[] = Object.values(GuardPort);
const ownLabels: readonly string[] = Object.values(Label);

/** Members of a PodSpec that have a field of their own in an MCPServer, where what depends on them is decided as well. */
const ownMembers: Readonly<Record<string, string>> = {
  serviceAccountName: 'use serviceAccount.name',
  serviceAccount: 'use serviceAccount.name',
  automountServiceAccountToken: 'use kubernetesAccess, which gives the server container alone a token',
};

/** The first field of `podTemplate`, `labels` or `annotations` that the operator must decide itself, with the reason; `undefined` if there is none. */
export function protectedField({ podTemplate, labels, annotations }: MCPServerSpec): string | undefined {
  const metadata: Member = podTemplate?.metadata ?? {};
  const pod: Member = podTemplate?.spec ?? {};
  return (
    ownKey('labels', labels ?? {}) ??
    ownKey('annotations', annotations ?? {}) ??
    ownKey('podTemplate.metadata.labels', asMember(metadata['labels'])) ??
    ownKey('podTemplate.metadata.annotations', asMember(metadata['annotations'])) ??
    ownMember(pod) ??
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
  }
  return undefined;
}

const asMember = (value: unknown): Member =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Member) : {};
const asList = (value: unknown): readonly Member[] => (Array.isArray(value) ? value.map(asMember) : []);
