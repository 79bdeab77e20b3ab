import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inCluster, tokenFile } from './credentials.ts';
import { kubeconfig } from './kubeconfig.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'credentials-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});
const write = (name: string, text: string) => writeFile(join(directory, name), text);

describe('tokenFile', () => {
  it('reads again after a minute and after a refusal, not before', async () => {
    let now = 0;
    const { authorization, refused } = tokenFile(join(directory, 'token'), () => now);
    await write('token', 'one\n');
    expect(await authorization()).toBe('Bearer one');
    await write('token', 'two');
    now = 59_999;
    expect(await authorization()).toBe('Bearer one');
    now = 60_000;
    expect(await authorization()).toBe('Bearer two');
    await write('token', 'three');
    refused();
    expect(await authorization()).toBe('Bearer three');
  });

  it('keeps the last token while the file cannot be read, and never goes without one', async () => {
    let now = 0;
    const { authorization } = tokenFile(join(directory, 'token'), () => now);
    await expect(authorization()).rejects.toThrow(/ENOENT/);
    await write('token', 'one');
    expect(await authorization()).toBe('Bearer one');
    await rm(join(directory, 'token'));
    now = 120_000;
    expect(await authorization()).toBe('Bearer one');
    await write('token', '');
    now = 240_000;
    expect(await authorization()).toBe('Bearer one');
  });
});

describe('inCluster', () => {
  it('is the ServiceAccount of the pod, with brackets around IPv6', async () => {
    await Promise.all([write('token', 't'), write('ca.crt', 'CA'), write('namespace', 'team-a\n')]);
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    const credentials = await inCluster({ directory, env });
    expect(credentials).toMatchObject({ server: 'https://[fd00::1]:443', namespace: 'team-a', tls: { ca: 'CA' } });
    expect(await credentials.authorization()).toBe('Bearer t');
  });

  it('says when it is not in a cluster', async () => {
    await expect(inCluster({ directory, env: {} })).rejects.toThrow('not in a cluster');
  });
});

describe('kubeconfig', () => {
  const config = (user: string, cluster = 'server: https://example:6443/') => `
apiVersion: v1
kind: Config
current-context: main
clusters: [{name: c, cluster: {${cluster}}}]
users: [{name: u, user: {${user}}}]
contexts:
- {name: main, context: {cluster: c, user: u, namespace: team-a}}
- {name: other, context: {cluster: c, user: nobody}}
`;
  const load = async (text: string, context?: string) => {
    await write('config', text);
    return kubeconfig({ path: join(directory, 'config'), context });
  };

  it('takes certificates as data and as files beside it', async () => {
    await write('key.pem', 'KEY');
    const data = Buffer.from('CERT').toString('base64');
    const credentials = await load(config(`client-certificate-data: ${data}, client-key: key.pem`));
    expect(credentials).toMatchObject({ server: 'https://example:6443', namespace: 'team-a', tls: { cert: 'CERT', key: 'KEY' } });
    expect(await credentials.authorization()).toBeUndefined();
  });

  it('takes tokens, token files and basic auth', async () => {
    await write('token', 'from-file');
    expect(await (await load(config('token: abc'))).authorization()).toBe('Bearer abc');
    expect(await (await load(config('tokenFile: token'))).authorization()).toBe('Bearer from-file');
    expect(await (await load(config('username: a, password: b'))).authorization()).toBe(`Basic ${btoa('a:b')}`);
  });

  it('takes server name and insecure mode', async () => {
    const cluster = 'server: https://x, tls-server-name: y, insecure-skip-tls-verify: true';
    expect((await load(config('token: a', cluster))).tls).toEqual({ servername: 'y', rejectUnauthorized: false });
  });

  it('takes another context than the current one', async () => {
    expect(await (await load(config('token: abc'), 'other')).authorization()).toBeUndefined();
    await expect(load(config('token: abc'), 'none')).rejects.toThrow('no context "none"');
  });

  it('asks an exec plugin', async () => {
    const credential = JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'plugged' },
    });
    await write('plugin.sh', `#!/bin/sh\necho '${credential}'\n`);
    const exec = `exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [${join(directory, 'plugin.sh')}], interactiveMode: Never}`;
    const credentials = await load(config(exec));
    expect(await credentials.authorization()).toBe('Bearer plugged');
  });
});
