import { createInterface } from 'node:readline/promises';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { GUARD_CONTAINER, Label } from '../api/group.ts';
import type { Caller } from '../mcp/policy/caller.ts';
import { CommandError, ExitCode } from './exit.ts';
import { pods } from './kinds.ts';
import { type KubeApi, type KubeObject, path } from './kubeapi.ts';

const words = z.string().optional();

/** A record of a guard's audit log, as far as an explanation needs it; what else it has is kept. */
const AuditRecord = z.looseObject({
  time: z.string(),
  requestId: z.string(),
  server: z.looseObject({ namespace: z.string(), name: z.string() }),
  caller: z
    .looseObject({
      type: z.enum(['anonymous', 'apiKey', 'serviceAccount', 'jwt']),
      issuer: words,
      subject: words,
      groups: z.array(z.string()).optional(),
      tunnel: words,
    })
    .optional(),
  method: z.string(),
  object: z
    .looseObject({
      type: z.enum(['tool', 'prompt', 'resource', 'resourceTemplate']),
      name: z.string(),
      class: words,
      classSource: words,
      pin: words,
    })
    .optional(),
  decision: z.enum(['allow', 'deny', 'wouldDeny', 'error']),
  code: z.string(),
  policy: words,
  rule: words,
  generation: z.number().optional(),
  cause: words,
  result: z.looseObject({ status: z.number(), error: words }),
});
export type AuditRecord = z.output<typeof AuditRecord>;

export interface FoundRecord {
  readonly pod: string;
  readonly record: AuditRecord;
}

interface Pod extends KubeObject {
  readonly spec?: { readonly initContainers?: readonly Named[]; readonly containers?: readonly Named[] };
  readonly status?: { readonly initContainerStatuses?: readonly Status[]; readonly containerStatuses?: readonly Status[] };
}
interface Named {
  readonly name: string;
}
interface Status extends Named {
  readonly restartCount?: number;
}

/** The record of a request in the logs of a server's guards, or of all guards of the namespace. Rejects with `CommandError` `NotFound`. */
export async function findRecord(
  api: KubeApi,
  namespace: string,
  server: string | undefined,
  requestId: string,
  signal: AbortSignal,
): Promise<FoundRecord> {
  const labelSelector = server === undefined ? Label.Server : `${Label.Server}=${server}`;
  const guarded = (await api.list<Pod>(pods, namespace, { labelSelector })).filter((pod) => containers(pod).some(isGuard));
  const unread: string[] = [];
  for (const pod of guarded) {
    const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
    const restarted = (statuses.find(isGuard)?.restartCount ?? 0) > 0;
    for (const previous of restarted ? [false, true] : [false]) {
      try {
        const record = await search(api, namespace, pod.metadata.name, previous, requestId, signal);
        if (record !== undefined) return record;
      } catch (error) {
        if (!(error instanceof CommandError) || error.exitCode === ExitCode.Refused) throw error;
        unread.push(`${pod.metadata.name}: ${error.message}`);
      }
    }
  }
  const where = server === undefined ? `namespace ${namespace}` : `${server} in namespace ${namespace}`;
  const problems = unread.length === 0 ? '' : `; not readable: ${unread.join('; ')}`;
  throw new CommandError(
    ExitCode.NotFound,
    `no guard of ${where} has a record of request ${requestId} in its log (looked at ${guarded.length} pods; logs of pods that are gone are in your log collection)${problems}`,
  );
}

const containers = ({ spec }: Pod): readonly Named[] => [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
const isGuard = ({ name }: Named): boolean => name === GUARD_CONTAINER;

async function search(
  api: KubeApi,
  namespace: string,
  pod: string,
  previous: boolean,
  requestId: string,
  signal: AbortSignal,
): Promise<FoundRecord | undefined> {
  const query = new URLSearchParams({ container: GUARD_CONTAINER, ...(previous ? { previous: 'true' } : {}) });
  const body = await api.stream(`${path(pods, namespace, pod, 'log')}?${query.toString()}`, signal);
  for await (const line of createInterface({ input: Readable.from(body), crlfDelay: Infinity })) {
    // Most lines are others: they are not parsed.
    if (!line.includes(requestId)) continue;
    const record = auditOf(line);
    if (record?.requestId === requestId) return { pod, record };
  }
  return undefined;
}

function auditOf(line: string): AuditRecord | undefined {
  try {
    return AuditRecord.safeParse((JSON.parse(line) as { audit?: unknown }).audit).data;
  } catch {
    return undefined;
  }
}

/** Who called, as far as the record says; `undefined` where nobody was recognised. Scopes are not recorded. */
export function recordedCaller({ caller }: AuditRecord): Caller | undefined {
  if (caller === undefined) return undefined;
  const { type, issuer = '', subject = '', groups } = caller;
  const tunnel = caller.tunnel === undefined ? {} : { tunnel: caller.tunnel };
  switch (type) {
    case 'anonymous':
      return { type, ...tunnel };
    case 'apiKey':
      return { type, user: subject, ...tunnel };
    case 'serviceAccount': {
      const [namespace = '', name = ''] = subject.split('/');
      return { type, namespace, name, ...tunnel };
    }
    case 'jwt':
      return { type, issuer, subject, scopes: [], ...(groups === undefined ? {} : { groups }), ...tunnel };
  }
}
