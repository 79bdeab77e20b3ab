import type { LookupAddress } from 'node:dns';
import { afterEach, describe, expect, it } from 'vitest';
import { httpListener, type Listener, tcpListener } from '../../../mcp/testing/listener.ts';
import { downloader, type Resolve } from './download.ts';

const never = new AbortController().signal;
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
});

/** Names stand for this machine here, where the test lets them. */
const names =
  (...addresses: readonly string[]): Resolve =>
  (_host, _options, callback) =>
    callback(
      null,
      addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 })),
    );

async function server(handler: Parameters<typeof httpListener>[0]): Promise<Listener> {
  const listener = await httpListener(handler);
  open.push(listener);
  return listener;
}

const idp = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'idp', namespace: 'auth' },
  spec: { clusterIPs: ['203.0.113.1'], selector: { app: 'idp' } },
} as const;
const strict = { clusterDomain: 'cluster.local', privateIssuers: [], namespaces: [], service: () => idp };
const allowed = { ...strict, privateIssuers: ['idp.auth.svc'] };
const at = ({ url }: { readonly url: URL }, path = '/keys') => new URL(`http://idp.auth.svc:${url.port}${path}`);
const download = downloader(allowed, names('127.0.0.1'));

describe('a download', () => {
  it('is the document, asked for without a credential', async () => {
    const listener = await server((_request, response) => response.end('{"keys": []}'));
    expect(await download(at(listener), never)).toEqual({ keys: [] });
    expect(listener.requests[0]?.headers).toEqual({
      host: `idp.auth.svc:${listener.url.port}`,
      accept: 'application/json',
      connection: 'keep-alive',
    });
  });

  const refused: Record<string, [Parameters<typeof httpListener>[0], RegExp]> = {
    'a redirect, to wherever': [
      (_request, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
      /redirects elsewhere, which is not followed/,
    ],
    'an error': [(_request, response) => response.writeHead(500).end('secret words'), /answered with HTTP status 500$/],
    'what is not JSON': [(_request, response) => response.end('secret words'), /is not JSON$/],
    'what is compressed': [(_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('\u001f'), /is not JSON$/],
    'what is too large': [(_request, response) => response.end(`"${'x'.repeat(256 * 1024)}"`), /answered with more than 256 KiB$/],
  };
  for (const [what, [handler, message]] of Object.entries(refused)) {
    it(`takes not ${what}`, async () => {
      await expect(download(at(await server(handler)), never)).rejects.toThrow(message);
    });
  }

  it('connects to no address that is not allowed, though it is one of several', async () => {
    const listener = await server((_request, response) => response.end('{}'));
    for (const addresses of [['127.0.0.1'], ['203.0.113.1', '127.0.0.1']]) {
      await expect(downloader(strict, names(...addresses))(at(listener), never)).rejects.toThrow('idp.auth.svc has a loopback');
    }
    await expect(downloader(strict)(new URL(`https://127.0.0.1:${listener.url.port}/`), never)).rejects.toThrow('loopback');
    await expect(downloader(strict)(new URL(`https://[::1]:${listener.url.port}/`), never)).rejects.toThrow('loopback');
    await expect(downloader(strict)(new URL(`http://localhost:${listener.url.port}/`), never)).rejects.toThrow('must be https');
    expect(listener.requests).toHaveLength(0);
  });

  it('asks nobody that a Service leads to elsewhere', async () => {
    const listener = await server((_request, response) => response.end('{}'));
    const spec = { type: 'ExternalName', externalName: 'vault.corp.example' };
    const leading = downloader({ ...strict, service: () => ({ ...idp, spec }) }, names('10.0.0.1'));
    await expect(leading(at(listener), never)).rejects.toThrow('Service idp of namespace auth is of type ExternalName');
  });

  it('resolves a name once: what it stands for later changes nothing', async () => {
    const listener = await server((_request, response) => response.end('{}'));
    let times = 0;
    const rebinding: Resolve = (host, options, callback) => {
      times += 1;
      names(times === 1 ? '127.0.0.1' : '169.254.169.254')(host, options, callback);
    };
    await downloader(allowed, rebinding)(at(listener), never);
    expect(times).toBe(1);
  });

  it('says in words why there was none', async () => {
    const gone = await server(() => undefined);
    await gone[Symbol.asyncDispose]();
    await expect(download(at(gone), never)).rejects.toThrow(/nothing listens at idp\.auth\.svc/);
    const noHttp = await tcpListener((socket) => socket.end('hello'));
    open.push(noHttp);
    await expect(download(at(noHttp), never)).rejects.toThrow(/is not HTTP/);
    const unresolved: Resolve = (_host, _options, callback) => callback(Object.assign(new Error('x'), { code: 'ENOTFOUND' }), []);
    await expect(downloader(allowed, unresolved)(at(gone), never)).rejects.toThrow('the name idp.auth.svc does not resolve');
  });

  it('ends with what aborts it', async () => {
    const silent = await server(() => undefined);
    await expect(download(at(silent), AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  });
});
