import { writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { Guard } from '../../guard/guard.ts';
import { processLog } from '../../guard/log.ts';
import { settings } from '../../guard/settings.ts';
import { bundle, policy } from '../../guard/testing/bundle.ts';

/** One process of the bench: `server`, `proxy URL`, or `guard URL RULES`. Tells its own URL to its parent. */
const [role = '', upstream = '', rules = ''] = process.argv.slice(2);

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  tell(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/mcp`);
}

function tell(url: string): void {
  process.send?.(url);
}

/** Answers the guard's listing, and every call with what came. */
function echo(): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const { id, method, params } = JSON.parse(text === '' ? '{}' : text) as {
        id?: unknown;
        method?: string;
        params?: { arguments?: unknown };
      };
      const result =
        method === 'initialize'
          ? { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'echo', version: '1' } }
          : method === 'tools/list'
            ? { tools: [{ name: 'echo', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }] }
            : { content: [{ type: 'text', text: JSON.stringify(params?.arguments) }] };
      const status = method === 'server/discover' ? 400 : id === undefined ? 202 : 200;
      const body = status === 400 ? { jsonrpc: '2.0', id, error: { code: -32600, message: 'legacy' } } : { jsonrpc: '2.0', id, result };
      const answer = status === 202 ? '' : JSON.stringify(body);
      response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
      response.end(answer);
    });
  });
}

/** The least that a proxy in this runtime can do: no check, no change. */
function bare(target: string): Server {
  const { origin, pathname } = new URL(target);
  const pool = new Pool(origin, { connections: null });
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { host: _, connection: __, 'transfer-encoding': ___, ...headers } = request.headers;
      void pool.request({ method: 'POST', path: pathname, headers, body: Buffer.concat(chunks) }).then((answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.body.pipe(response);
      });
    });
  });
}

async function guard(): Promise<void> {
  const file = join(mkdtempSync(join(tmpdir(), 'bench-')), 'bundle.json');
  const access = { maximumClass: 'ReadOnly', trustAnnotations: 'Always', overrides: [] } as const;
  const audit = { level: rules === 'policy' ? 'Metadata' : 'None', redact: [], onFailure: 'Drop' } as const;
  writeFileSync(file, JSON.stringify(bundle(rules === 'none' ? {} : { policies: [policy({ access, audit })] })));
  const flags = ['--upstream', upstream, '--bundle', file, '--address', '127.0.0.1', '--control', ''];
  for (const port of ['data', 'admin', 'metrics']) flags.push(`--${port}-port`, '0');
  const made = new Guard(settings(flags, {}), {
    log: processLog('warn', Date.now, (line) => process.stderr.write(line)),
    // As in production: bytes that leave the process.
    audit: (bytes, done) => void process.stdout.write(bytes, () => done(null)),
    now: Date.now,
    random: Math.random,
  });
  const { data, admin } = await made.start();
  while (!(await fetch(`http://127.0.0.1:${admin}/readyz`)).ok) await new Promise((resolve) => setTimeout(resolve, 20));
  tell(`http://127.0.0.1:${data}/mcp`);
}

if (role === 'server') await listen(echo());
else if (role === 'proxy') await listen(bare(upstream));
else {
  await guard();
  process.on('SIGINT', () => process.exit(0));
}
