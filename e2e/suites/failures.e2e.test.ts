import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import { ConfigMaps, namespaced, Secrets, type Untyped } from '../../operator/kube/resources.ts';
import { Slots } from '../../operator/runtime/slots.ts';
import { AuditMark, isOperatorWrite, said } from '../audit.ts';
import { type BehaviourChange, faulty, Fleet, MCPServers, UNGUARDED } from '../fleet.ts';
import { History } from '../history.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { plantedSecret } from '../planted.ts';

/** How a server is broken, what its status says then, and what mends it. */
interface Breakage {
  readonly spec: MCPServerSpecInput;
  /** What must be there before the server. Default: nothing. */
  readonly prepare?: (namespace: string) => Promise<unknown>;
  /** The condition that is not True; `Ready` repeats it. */
  readonly condition: 'Accepted' | 'Available' | 'Verified';
  readonly reason: string;
  /** Everything that a stranger needs to mend it. */
  readonly says: readonly RegExp[];
  /** How long the status may take to say so, in seconds. */
  readonly within?: number;
  readonly mend: (namespace: string, name: string) => Promise<unknown>;
}

/** Long enough for a machine that is busy with many pods. */
const verification = { interval: '10s', timeout: '5s' };
/** A server that works but for what is changed in its spec. */
const spec = (more: Partial<MCPServerSpecInput> = {}, ...args: readonly string[]): MCPServerSpecInput =>
  faulty(args, { verification, ...more });

const apply = (mended: MCPServerSpecInput) => (namespace: string, name: string) => fleet.apply(namespace, name, mended);
const behave = (change: BehaviourChange) => (namespace: string, name: string) => fleet.behave(namespace, name, change);
const createConfigMap = (name: string, data: Readonly<Record<string, string>>) => (namespace: string) =>
  fleet.client.create(ConfigMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data });
const createSecret = (name: string, stringData: Readonly<Record<string, string>>) => (namespace: string) =>
  fleet.client.create(Secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData });
const fromSecret = (name: string, key: string) => [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name, key } } }];
const fromConfigMap = (name: string, key: string) => [{ name: 'REGION', valueFrom: { configMapKeyRef: { name, key } } }];

/** Servers that run and answer wrongly, by the mode of the failing server. */
const misbehaving = (mode: string, reason: string, ...says: readonly RegExp[]): Breakage => ({
  spec: spec({}, '--mode', mode),
  condition: 'Verified',
  reason,
  says,
  mend: behave({ mode: 'Healthy' }),
});

const crashing = {
  spec: spec({}, '--mode', 'Crash', '--message', 'fatal: database db.internal is not there'),
  condition: 'Available',
  reason: 'CrashLooping',
  says: [/Container server ended with exit code 1/, /Last log lines:\n.*fatal: database db\.internal is not there/],
  mend: apply(spec()),
} as const satisfies Breakage;

const deaf = (guard: Partial<MCPServerSpecInput>): Breakage => ({
  spec: spec({ ...guard, probes: { startup: { tcpSocket: { port: 8080 }, periodSeconds: 1, failureThreshold: 10 } } }, '--port', '9999'),
  condition: 'Available',
  reason: 'CrashLooping',
  says: [/nothing listened on port 8080 in time/, /set transport\.port to the port of the server/],
  mend: apply(spec({ ...guard, transport: { type: 'StreamableHTTP', port: 9999 } }, '--port', '9999')),
});

/** How each server that answers wrongly is told, whoever verifies it: the guard beside it, or the operator through its Service. */
const wrongAnswers: Readonly<Record<string, Breakage>> = {
  'a server that accepts connections and never answers': misbehaving(
    'Silent',
    'Timeout',
    // That it accepts connections the operator sees; a guard keeps its own open.
    /an answer to initialize did not come within 5 s from http:\/\/\S+\/mcp/,
  ),
  'a server that answers too slowly': {
    ...misbehaving('Slow', 'Timeout', /did not come within 5 s/),
    spec: spec({}, '--mode', 'Slow', '--delay', '20000'),
  },
  'a server that answers bytes which are not HTTP': misbehaving('Binary', 'ProtocolError', /is not HTTP/, /Is it the right port/),
  'a server that answers a web page': misbehaving(
    'WebPage',
    'ProtocolError',
    /content type text\/html where MCP has application\/json/,
    /<title>Welcome<\/title>/,
  ),
  'a server that answers 503': misbehaving('Unavailable', 'ProtocolError', /HTTP 503/, /the upstream is down/),
  'a server that answers a JSON-RPC error': misbehaving('JsonRpcError', 'HandshakeFailed', /-32603/, /the backing database is gone/),
};

const unguarded = (breakage: Breakage): Breakage => ({ ...breakage, spec: { ...breakage.spec, ...UNGUARDED } });

const breakages: Readonly<Record<string, Breakage>> = {
  'a missing Secret in env': {
    spec: spec({ env: fromSecret('github', 'token') }),
    condition: 'Available',
    reason: 'CreateContainerFailed',
    says: [/secret "github" not found/],
    mend: createSecret('github', { token: plantedSecret() }),
  },
  'a missing Secret in mounts': {
    spec: spec({ mounts: [{ mountPath: '/etc/tls', secret: { secretName: 'tls' } }] }),
    condition: 'Available',
    reason: 'MountFailed',
    says: [/volume cannot be mounted/, /secret "tls" not found/],
    mend: createSecret('tls', { key: plantedSecret() }),
  },
  'a missing ConfigMap': {
    spec: spec({ env: fromConfigMap('regions', 'home') }),
    condition: 'Accepted',
    reason: 'ReferenceNotFound',
    says: [/Not found in namespace test-\w+: ConfigMap regions/],
    mend: createConfigMap('regions', { home: 'eu' }),
  },
  'a key that its ConfigMap has not': {
    spec: spec({ env: fromConfigMap('kube-root-ca.crt', 'ca.pem') }),
    condition: 'Available',
    reason: 'CreateContainerFailed',
    says: [/couldn't find key ca\.pem in ConfigMap test-\w+\/kube-root-ca\.crt/],
    mend: apply(spec({ env: fromConfigMap('kube-root-ca.crt', 'ca.crt') })),
  },
  'a key that its mounted Secret has not': {
    prepare: createSecret('certificate', { 'tls.key': 'k' }),
    spec: spec({
      mounts: [{ mountPath: '/etc/certificate', secret: { secretName: 'certificate', items: [{ key: 'tls.crt', path: 'crt' }] } }],
    }),
    condition: 'Available',
    reason: 'MountFailed',
    says: [/mount at \/etc\/certificate \(mounts\) takes key tls\.crt, which Secret certificate has not: add the key there/],
    mend: (ns) => fleet.client.mergePatch(Secrets, { namespace: ns, name: 'certificate' }, { stringData: { 'tls.crt': 'c' } }),
  },
  'a key that its mounted ConfigMap has not': {
    spec: spec({ mounts: [{ mountPath: '/etc/ca', configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.pem', path: 'ca' }] } }] }),
    condition: 'Available',
    reason: 'MountFailed',
    says: [/mount at \/etc\/ca \(mounts\) takes key ca\.pem, which ConfigMap kube-root-ca\.crt has not/, /correct items\[\]\.key/],
    mend: apply(
      spec({ mounts: [{ mountPath: '/etc/ca', configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca' }] } }] }),
    ),
  },
  'an image that cannot be pulled': {
    spec: spec({ container: { image: 'registry.example.com/nobody/nothing:v1' } }),
    condition: 'Available',
    reason: 'ImagePullFailed',
    says: [/Image registry\.example\.com\/nobody\/nothing:v1 of container server cannot be pulled: .*failed to resolve reference/],
    mend: apply(spec()),
  },
  'a crash loop': crashing,
  'a crash loop without a guard': { ...crashing, spec: { ...crashing.spec, ...UNGUARDED }, mend: apply(spec(UNGUARDED)) },
  'a server that writes to its read-only file system': {
    spec: spec({}, '--mode', 'WriteRoot'),
    condition: 'Available',
    reason: 'CrashLooping',
    says: [/root file system, which is read-only/, /mount an emptyDir where it writes/, /\/app\/state\.json/],
    mend: apply(spec({ mounts: [{ mountPath: '/data', emptyDir: {} }] })),
  },
  'a server that needs an environment variable': {
    spec: spec({}, '--mode', 'NeedVariable'),
    condition: 'Available',
    reason: 'CrashLooping',
    says: [/needs? the environment variable FAULTY_API_KEY: add it to env/],
    mend: apply(spec({ env: [{ name: 'FAULTY_API_KEY', value: 'k' }] }, '--mode', 'NeedVariable')),
  },
  'a command that the image has not': {
    spec: spec({ container: { image: 'mcp-fleet.dev/faulty:1', imagePullPolicy: 'IfNotPresent', command: ['/usr/bin/nothing'] } }),
    condition: 'Available',
    reason: 'CreateContainerFailed',
    says: [/\/usr\/bin\/nothing/, /no such file or directory/],
    mend: apply(spec()),
  },
  'a node selector that fits no node': {
    spec: spec({ scheduling: { nodeSelector: { accelerator: 'none-has-this' } } }),
    condition: 'Available',
    reason: 'Unschedulable',
    says: [/No node takes the pod/, /node\(s\) didn't match Pod's node affinity\/selector/],
    mend: apply(spec()),
  },
  'a port on which nothing listens': deaf({}),
  'a port on which nothing listens, without a guard': deaf(UNGUARDED),
  "a readiness probe of the user's own that fails": {
    spec: spec({
      ...UNGUARDED,
      probes: { readiness: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 2, failureThreshold: 2 } },
    }),
    condition: 'Available',
    reason: 'ServerNotAnswering',
    says: [/readiness probe \(probes\.readiness\) fails: HTTP probe failed with statuscode: 404/],
    mend: apply(spec(UNGUARDED)),
  },
  ...wrongAnswers,
  ...Object.fromEntries(Object.entries(wrongAnswers).map(([what, breakage]) => [`${what}, without a guard`, unguarded(breakage)])),
  'a server that accepts connections and never answers, without a guard': unguarded(
    misbehaving('Silent', 'Timeout', /accepts connections, but an answer to initialize did not come within 5 s from http:\/\/\S+\/mcp/),
  ),
};

let fleet: Fleet;
let kubectl: Kubectl;
let place: Place;

/** A namespace, and all that its servers ever were. */
interface Place {
  readonly namespace: string;
  readonly history: History;
}
const places = new AsyncDisposableStack();

async function newPlace(): Promise<Place> {
  const namespace = await fleet.namespace();
  return { namespace, history: places.use(await History.of(fleet.client, namespace)) };
}

beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
  place = await newPlace();
});

afterAll(async () => {
  await places.disposeAsync();
  await fleet[Symbol.asyncDispose]();
});

/** Requests of the operator that change anything about one server or its children. */
async function writesSince(mark: AuditMark, namespace: string, name: string): Promise<string[]> {
  const made = await mark.requests(
    (request) =>
      isOperatorWrite(request) && request.namespace === namespace && (request.name === name || request.name.startsWith(`${name}-`)),
  );
  return made.map((request) => `${request.at.toISOString()} ${said(request)}`);
}

/** The same version for five seconds: whatever belongs to a change of state has been written. */
async function settled(namespace: string, name: string): Promise<void> {
  let last: string | undefined;
  let since = performance.now();
  await fleet.eventually(
    () => fleet.client.get(MCPServers, { namespace, name }),
    ({ metadata }) => {
      if (metadata.resourceVersion !== last) since = performance.now();
      last = metadata.resourceVersion;
      return performance.now() - since > 5000;
    },
    60,
  );
}

/** Whether a server was Ready, one after another, without what is not known yet: False, Unknown, False is still one False. */
const verdicts = ({ history }: Place, name: string): string[] =>
  history
    .statuses(name, 'Ready')
    .filter((status) => status !== 'Unknown')
    .filter((status, index, all) => status !== all[index - 1]);

/** How long a broken server must not cause a write. */
const QUIET_SECONDS = 60;

/**
 * Few servers break or recover at a time, so that all get processor enough. Silence takes none: all are silent at once, while others break. So no test waits for
 * its turn as a whole.
 */
const breaking = new Slots(4);
const mending = new Slots(3);

async function inTurn<T>(turns: Slots, work: () => Promise<T>): Promise<T> {
  const release = await turns.take(AbortSignal.timeout(900_000));
  try {
    return await work();
  } finally {
    release();
  }
}

async function story(place: Place, name: string, { condition, reason, says, within = 90, mend, ...breakage }: Breakage): Promise<void> {
  const { namespace, history } = place;
  await inTurn(breaking, async () => {
    await breakage.prepare?.(namespace);
    await fleet.apply(namespace, name, breakage.spec);
    await fleet.until(namespace, name, condition, { status: 'False', reason }, within);
    // What the guard found may be known a moment before its pod counts as running.
    const broken = await fleet.until(namespace, name, 'Ready', { status: 'False', reason }, 60);
    const { message = '' } = broken.status?.conditions?.find(({ type }) => type === condition) ?? {};
    for (const words of says) expect(message).toMatch(words);
    expect(broken.status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'False', reason, message });
    await kubectl(['wait', '--for=condition=Ready=False', `mcpserver/${name}`, '-n', namespace, '--timeout=5s']);
  });

  await settled(namespace, name);
  const mark = await AuditMark.now(inject('auditLog'));
  await delay(QUIET_SECONDS * 1000);
  const last = history.versions(name).slice(-3);
  expect(await writesSince(mark, namespace, name), JSON.stringify(last.map(({ status }) => status)).slice(0, 8000)).toEqual([]);
  // Nothing that it was before came back: not a status, not a reason.
  expect(verdicts(place, name)).toEqual(['False']);
  for (const type of ['Ready', 'Accepted', 'Available', 'Verified']) {
    const reasons = history.reasons(name, type);
    expect(reasons, type).toEqual([...new Set(reasons)]);
  }

  await inTurn(mending, async () => {
    const waiting = kubectl(['wait', '--for=condition=Ready', `mcpserver/${name}`, '-n', namespace, '--timeout=200s']);
    await mend(namespace, name);
    await waiting;
    const mended = await fleet.ready(namespace, name, 30);
    expect(mended.status?.tools?.total).toBeGreaterThan(0);
  });
  await settled(namespace, name);
  expect(verdicts(place, name)).toEqual(['False', 'True']);
  expect(history.violations(name)).toEqual([]);
}

describe('a broken server says why, stays silent about it, and recovers by itself', () => {
  const cases = new Map(Object.entries(breakages).map(([what, breakage], index) => [what, { name: `broken-${index}`, breakage }]));
  const running = new Map<string, Promise<void>>();

  /** Begins all stories that are to be told, whichever test is the first. */
  let began = false;
  const begin = (tests: readonly { readonly name: string; readonly mode: string }[]): void => {
    if (began) return;
    began = true;
    for (const [what, { name, breakage }] of cases) {
      if (!tests.some((one) => one.name === what && one.mode !== 'skip')) continue;
      const told = story(place, name, breakage);
      // Its test may not wait for it yet.
      told.catch(() => undefined);
      running.set(what, told);
    }
  };

  for (const [what, { name, breakage }] of cases) {
    test.concurrent(what, { timeout: 900_000 }, async ({ task }) => {
      begin(task.suite?.tasks ?? []);
      const told = running.get(what) ?? story(await newPlace(), name, breakage);
      running.delete(what);
      await told;
    });
  }
});

describe('other states', () => {
  test.concurrent('a server that asks for credentials is ready, and says that its tools are unknown', async () => {
    const own = await newPlace();
    const { namespace, history } = own;
    await fleet.apply(namespace, 'private', spec({}, '--mode', 'Unauthorized'));
    const server = await fleet.until(namespace, 'private', 'Verified', {
      status: 'True',
      reason: 'AuthenticationRequired',
      message: /HTTP 401/,
    });
    expect(server.status?.tools).toBeUndefined();
    await fleet.ready(namespace, 'private');
    await fleet.behave(namespace, 'private', { mode: 'Healthy' });
    const open = await fleet.until(namespace, 'private', 'Verified', { status: 'True', reason: 'Verified' });
    expect(open.status?.tools?.total).toBe(8);
    expect(verdicts(own, 'private')).toEqual(['False', 'True']);
    expect(history.violations('private')).toEqual([]);
  });

  test.concurrent('a quota that leaves no room', { timeout: 300_000 }, async () => {
    const crowded = await fleet.namespace();
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'tight', namespace: crowded },
      spec: { hard: { pods: '0' } },
    };
    const quotas = namespaced<Untyped>('v1', 'ResourceQuota', 'resourcequotas');
    await fleet.client.create(quotas, quota);
    await fleet.apply(crowded, 'server', spec());
    const words = /Pods cannot be created: .*exceeded quota: tight, requested: pods=1, used: pods=0, limited: pods=0/;
    await fleet.until(crowded, 'server', 'Available', { status: 'False', reason: 'QuotaExceeded', message: words });
    await fleet.client.apply(quotas, { ...quota, spec: { hard: { pods: '1' } } }, { fieldManager: 'e2e' });
    await fleet.ready(crowded, 'server', 200);
  });

  test.concurrent('a healthy server that stops answering and comes back', { timeout: 300_000 }, async () => {
    const { namespace, history } = await newPlace();
    await fleet.apply(namespace, 'shaky', spec());
    await fleet.ready(namespace, 'shaky');
    await fleet.behave(namespace, 'shaky', { mode: 'JsonRpcError' });
    await fleet.until(namespace, 'shaky', 'Ready', { status: 'False', reason: 'HandshakeFailed' });
    await fleet.until(namespace, 'shaky', 'Available', { status: 'True' });
    await fleet.behave(namespace, 'shaky', { mode: 'Healthy' });
    await fleet.ready(namespace, 'shaky', 150);
    expect(history.statuses('shaky', 'Verified').slice(-3)).toEqual(['True', 'False', 'True']);
    expect(history.violations('shaky')).toEqual([]);
  });
});
