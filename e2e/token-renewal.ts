import { setTimeout as delay } from 'node:timers/promises';
import { faulty, Fleet } from './fleet.ts';
import { operatedCluster } from './operated.ts';

/**
 * `make check-token-renewal`: waits for the kubelet to renew the token of a server, once. Kubernetes makes no token that lives shorter than ten minutes, and
 * renews it after four fifths of them, so this takes ten minutes and is no part of `make test`.
 */
const LIFETIME_SECONDS = 600;
const TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const PERIOD_SECONDS = 10;

interface Claims {
  readonly iat: number;
  readonly exp: number;
  readonly sub: string;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const claimsOf = (token: string): Claims => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Claims;

await using operated = await operatedCluster({ name: 'renewal', registry: false, images: [], progress: say });
await using fleet = await Fleet.of(operated.cluster.kubeconfigPath);
const namespace = await fleet.namespace();
const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }];
await fleet.apply(namespace, 'reader', faulty([], { kubernetesAccess: { rules, tokenExpirationSeconds: LIFETIME_SECONDS } }));
await fleet.ready(namespace, 'reader');
const [before] = await fleet.pods(namespace, 'reader');
const read = (): Promise<string> => fleet.call(namespace, 'reader', 'read_file', { path: TOKEN });

/** Who the API server takes a token for; `undefined` for nobody. */
async function holder(token: string): Promise<string | undefined> {
  const review = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } });
  const answer = JSON.parse(await operated.kubectl(['create', '-o', 'json', '-f', '-'], review)) as {
    readonly status: { readonly authenticated?: boolean; readonly user?: { readonly username: string } };
  };
  return answer.status.authenticated === true ? answer.status.user?.username : undefined;
}

const first = await read();
const { iat, exp, sub } = claimsOf(first);
say(`The token of ${sub} lives for ${exp - iat} s; waiting for another one in the same file`);
let token = first;
while (token === first) {
  if (Date.now() / 1000 > exp) throw new Error('the token expired and was not renewed');
  await delay(PERIOD_SECONDS * 1000);
  token = await read();
}
const renewed = claimsOf(token);
say(`Renewed after ${renewed.iat - iat} s, ${exp - renewed.iat} s before its end; the new one lives for ${renewed.exp - renewed.iat} s`);
if ((await holder(token)) !== sub) throw new Error('the API server does not take the new token');

// The API server allows clocks to differ by a minute, and remembers for ten seconds what it took a token for.
await delay(Math.max(0, exp * 1000 - Date.now()) + 90_000);
if ((await holder(first)) !== undefined) throw new Error('the API server still takes the token that has expired');
say('The API server takes the new token, and the old one no longer since it has expired');
const [after] = await fleet.pods(namespace, 'reader');
const restarts = after?.status?.containerStatuses?.map(({ restartCount }) => restartCount).join();
if (after?.metadata.uid !== before?.metadata.uid || restarts !== '0') throw new Error(`the pod was restarted: ${restarts}`);
say('All that in one pod, without a restart');
