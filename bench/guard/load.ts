import { Pool } from 'undici';
import { summarize } from '../statistics.ts';
import type { Subject } from './process.ts';
import { processorTime } from './process.ts';

/** What callers ask for. */
export interface Mode {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: (number: number) => string;
}

const PADDING = 'x'.repeat(900);
const ACCEPT = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

function call(number: number, more: object, meta?: object): string {
  const params = { name: 'echo', arguments: { n: number, text: PADDING, ...more }, _meta: meta };
  return JSON.stringify({ jsonrpc: '2.0', id: number, method: 'tools/call', params });
}

/** Calls of 1 KiB with 1 KiB back. */
export const LEGACY: Mode = { name: 'legacy, JSON', headers: ACCEPT, body: (number) => call(number, {}) };
export const EVENTS: Mode = { name: 'legacy, SSE', headers: ACCEPT, body: (number) => call(number, { sse: true }) };
export const MODERN: Mode = {
  name: 'modern, JSON',
  headers: { ...ACCEPT, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' },
  body: (number) =>
    call(number, {}, { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} }),
};

/** Lists that were never given before, and the same one again and again. */
export const NEW_LISTS: Mode = {
  name: 'a new list',
  headers: ACCEPT,
  body: (id) => JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list', params: { cursor: `page-${id}` } }),
};
export const SAME_LIST: Mode = {
  name: 'the same list',
  headers: ACCEPT,
  body: (id) => JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list' }),
};

/** The same calls in a session, which stdio servers of the legacy era have. */
export async function inSession(subject: Subject, mode: Mode): Promise<Mode> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const response = await fetch(subject.url, { method: 'POST', headers: ACCEPT, body });
  await response.text();
  return { ...mode, headers: { ...mode.headers, 'mcp-session-id': response.headers.get('mcp-session-id') ?? '' } };
}

export interface Load {
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
  /** Microseconds of processor time that the subject used for one call. */
  readonly processor: number;
}

let sequence = 0;

/** So many calls by so many callers, each after its last answer (a closed model). */
export async function load(subject: Subject, { name, headers, body }: Mode, callers: number, calls: number): Promise<Load> {
  const { origin, pathname } = new URL(subject.url);
  const pool = new Pool(origin, { connections: callers });
  const latencies: number[] = [];
  const used = processorTime(subject);
  const began = performance.now();
  let left = calls;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      sequence += 1;
      const text = body(sequence);
      const sent = performance.now();
      const response = await pool.request({ method: 'POST', path: pathname, headers, body: text });
      const answer = await response.body.text();
      latencies.push((performance.now() - sent) * 1000);
      if (response.statusCode !== 200 || !answer.includes(`"id":${/"id":(\d+)/.exec(text)?.[1]}`) || answer.includes('"error"')) {
        throw new Error(`${subject.name}, ${name}: ${response.statusCode} ${answer.slice(0, 300)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const perSecond = (calls * 1000) / (performance.now() - began);
  const processor = (processorTime(subject) - used) / calls;
  await pool.close();
  const { p50, p99 } = summarize(latencies);
  return { p50, p99, perSecond, processor };
}
