import { Readable } from 'node:stream';
import { GuardPort } from '../../../api/group.ts';
import { printable } from '../../../mcp/excerpt.ts';
import { isObject, type Json, type JsonObject } from '../../../mcp/jsonrpc.ts';
import type { ProbeResult } from '../../../mcp/probe.ts';
import { type Client, podPath } from '../../kube/client.ts';
import type { Pod } from '../../kube/wire.ts';
import { SharedSlots, Slots } from '../../runtime/slots.ts';
import { resultOf } from './guardresult.ts';
import { isActive, isReady } from './poddiagnosis.ts';

/** A pod whose guard can be asked. */
export interface GuardPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly address: string;
  readonly ready: boolean;
  readonly createdAt: string;
}

/** Pods with an address, by name. Those that are not ready count too: their guards know why. */
export const guardPods = (pods: readonly Pod[]): GuardPod[] =>
  pods
    .flatMap((pod) => {
      const { namespace = '', name, uid = '', creationTimestamp } = pod.metadata;
      const address = pod.status?.podIP;
      if (!isActive(pod) || address === undefined || address === '') return [];
      return [{ namespace, name, uid, address, ready: isReady(pod), createdAt: creationTimestamp ?? '' }];
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** Reads a page of a guard's admin port. Rejects when it cannot be had, or is not what a guard writes. */
export type GuardReader = (pod: GuardPod, page: '/status' | '/inventory', signal: AbortSignal) => Promise<JsonObject>;

/** A page is answered from memory. */
const TIMEOUT_MS = 5_000;
/** What a page may have without waiting for its turn. A hundred tools have some 100 KiB. */
const SMALL_BYTES = 256 * 1024;
/** Ten thousand tools of some 800 bytes. The operator has 512 MiB, and reading JSON may take ten times its size. */
const MAX_BYTES = 8 * 1024 * 1024;
/**
 * Whoever sends more than is small waits here, so that a fleet of pods that send as much as they can fills no more memory than one of them. Namespaces take
 * turns, so that a fleet of one delays those of another by one of its pods.
 */
const large = new SharedSlots(1);
/** Between two pieces of a large page, while others wait: a guard has all of it at hand. */
const PAUSE_MS = 2_000;

/** Directly, by the pod's address. */
export const directReader: GuardReader = ({ address, namespace }, page, signal) => {
  const host = address.includes(':') ? `[${address}]` : address;
  return readPage(namespace, page, signal, async (patient) => {
    const { status, body } = await fetch(`http://${host}:${GuardPort.Admin}${page}`, { signal: patient, redirect: 'error' });
    return { status, body: body ?? Readable.from([]) };
  });
};

/** Through the API server, for an operator outside the cluster. Needs `get` on `pods/proxy`. */
export const readerThroughAPIServer =
  (client: Client): GuardReader =>
  ({ namespace, name }, page, signal) => {
    const path = podPath({ namespace, name, port: GuardPort.Admin }, page);
    return readPage(namespace, page, signal, async (patient) => {
      const { statusCode, body } = await client.raw({ method: 'GET', path, signal: patient });
      return { status: statusCode, body };
    });
  };

interface Answer {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Reads a page of a guard, or of whoever sits in its place: that answer may never end. Exported for tests. */
export async function readPage(
  namespace: string,
  page: '/status' | '/inventory',
  signal: AbortSignal,
  ask: (signal: AbortSignal) => Promise<Answer>,
): Promise<JsonObject> {
  const patience = new AbortController();
  const wait = (milliseconds: number, why: string): NodeJS.Timeout => setTimeout(() => patience.abort(new Error(why)), milliseconds);
  const answered = (): NodeJS.Timeout => wait(TIMEOUT_MS, `the guard did not answer within ${TIMEOUT_MS} ms`);
  let timer = answered();
  let pause: NodeJS.Timeout | undefined;
  const either = AbortSignal.any([signal, patience.signal]);
  let release: (() => void) | undefined;
  try {
    const { status, body } = await ask(either);
    if (status !== 200) throw new Error(`the guard answered with HTTP status ${status}`);
    const most = page === '/status' ? SMALL_BYTES : MAX_BYTES;
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size > most) throw new Error(`the guard answered with more than ${most} bytes`);
      if (size > SMALL_BYTES && release === undefined) {
        // Nothing more is read meanwhile, and nobody loses patience for want of a turn.
        clearTimeout(timer);
        release = await large.take(namespace, signal);
        timer = answered();
      }
      chunks.push(chunk);
      clearTimeout(pause);
      if (release !== undefined) pause = wait(PAUSE_MS, `the guard stopped answering for ${PAUSE_MS} ms`);
    }
    either.throwIfAborted();
    const value = JSON.parse(Buffer.concat(chunks).toString()) as Json;
    if (!isObject(value)) throw new Error('the guard answered with something else than an object');
    return value;
  } finally {
    clearTimeout(timer);
    clearTimeout(pause);
    release?.();
  }
}

/** Guards of one server that are asked at once. */
export const PODS_AT_ONCE = 8;

/**
 * What the guards of a server found, as one result: the worst of the ready pods', or of all while none is ready; among equals that of the newest pod,
 * whose revision is the one to stay.
 */
export async function askGuards(pods: readonly GuardPod[], read: GuardReader, signal: AbortSignal): Promise<ProbeResult> {
  const ready = pods.filter((pod) => pod.ready);
  const asked = ready.length > 0 ? ready : pods;
  const slots = new Slots(PODS_AT_ONCE);
  const answers = await Promise.all(
    asked.map(async (pod): Promise<{ pod: GuardPod; result: ProbeResult }> => {
      const release = await slots.take(signal);
      try {
        return { pod, result: resultOf(await read(pod, '/inventory', signal)) ?? pending };
      } catch (error) {
        signal.throwIfAborted();
        return {
          pod,
          result: {
            outcome: 'ConnectionRefused',
            message: `The guard of pod ${pod.name} cannot be asked: ${printable(causeOf(error), 512)}`,
            server: undefined,
          },
        };
      } finally {
        release();
      }
    }),
  );
  const [worst] = answers.toSorted(
    (a, b) =>
      severity(b.result) - severity(a.result) || (a.pod.createdAt < b.pod.createdAt ? 1 : a.pod.createdAt > b.pod.createdAt ? -1 : 0),
  );
  return worst?.result ?? pending;
}

const pending: ProbeResult = { outcome: 'Timeout', message: 'The guard has not heard from the server yet', server: undefined };

const severity = ({ outcome }: ProbeResult): number => (outcome === 'Verified' ? 0 : outcome === 'AuthenticationRequired' ? 1 : 2);

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
