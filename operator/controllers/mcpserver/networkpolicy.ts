import { isIP } from 'node:net';
import { GuardPort, MCP_PORT_NAME } from '../../../api/group.ts';
import { serverPort } from '../../../api/transport.ts';
import type { NetworkPolicy, NetworkPolicyPeer } from '../../kube/wire.ts';
import { hasTraces } from './guard.ts';
import { type APIServerAddresses, type ChildInput, hasGuard } from './input.ts';
import { childMeta, selector } from './names.ts';

type Spec = NonNullable<NetworkPolicy['spec']>;
/** The generated type calls `from` by another name, since it is a word of Python. */
type Ingress = Omit<NonNullable<Spec['ingress']>[number], '_from'> & { readonly from?: readonly NetworkPolicyPeer[] };
type Egress = NonNullable<Spec['egress']>[number];

/** Ranges that are not the internet: RFC 1918, carrier-grade NAT, link-local with the metadata service of clouds, and their like in IPv6. */
const PRIVATE_V4 = ['10.0.0.0/8', '100.64.0.0/10', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'];
/** The last one maps IPv4 addresses, private ones too (RFC 6052). */
const PRIVATE_V6 = ['64:ff9b::/96', 'fc00::/7', 'fe80::/10'];

/** Who may open connections to the pods of a server, and what they may open connections to. Absent with `network.managed: false`. */
export function networkPolicy(input: ChildInput): NetworkPolicy | undefined {
  const { server } = input;
  if (!server.spec.network.managed) return undefined;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMeta(server),
    spec: {
      podSelector: { matchLabels: selector(server) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: ingress(input),
      egress: egress(input),
    },
  };
}

function ingress({ server, settings }: ChildInput): Ingress[] {
  const { ingressFrom = [] } = server.spec.network;
  const { scrapeFrom = [] } = server.spec.telemetry;
  const guarded = hasGuard(server);
  const operator: NetworkPolicyPeer[] =
    settings.operatorNamespace === undefined
      ? []
      : [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': settings.operatorNamespace } } }];
  // Guards hand sessions over to each other. Without a guard the operator itself asks the server.
  const always = guarded ? [{ podSelector: { matchLabels: selector(server) } }] : operator;
  return [
    // No `from` at all where anybody may call: gateways, load balancers and the API server's proxy are no pods that a peer could name.
    { ports: tcp(dataPort(server.spec)), ...(ingressFrom.length > 0 && { from: [...ingressFrom, ...always] }) },
    ...(guarded && operator.length > 0 ? [{ ports: tcp(GuardPort.Admin), from: operator }] : []),
    ...(guarded && scrapeFrom.length > 0 ? [{ ports: tcp(GuardPort.Metrics), from: [...scrapeFrom] }] : []),
  ];
}

const tcp = (port: number | string) => [{ port, protocol: 'TCP' }];

function egress({ server, apiServer, settings }: ChildInput): Egress[] {
  const { dns, to = [], internet } = server.spec.network.egress;
  const rules: Egress[] = [];
  // To any address: a node-local DNS cache and a DNS outside the cluster are no pods.
  if (dns) {
    rules.push({
      ports: [
        { port: 53, protocol: 'UDP' },
        { port: 53, protocol: 'TCP' },
      ],
    });
  }
  if (hasGuard(server)) rules.push({ ports: tcp(GuardPort.Data), to: [{ podSelector: { matchLabels: selector(server) } }] });
  rules.push(...targetRules(server.spec));
  if (hasGuard(server) && hasTraces(server.spec))
    rules.push(traceRule(new URL(server.spec.telemetry.otlpEndpoint), settings.clusterDomain));
  if (to.length > 0) rules.push({ to: [...to] });
  if (server.spec.kubernetesAccess !== undefined) rules.push(...apiServerRules(apiServer));
  if (internet) {
    rules.push({ to: [{ ipBlock: { cidr: '0.0.0.0/0', except: PRIVATE_V4 } }, { ipBlock: { cidr: '::/0', except: PRIVATE_V6 } }] });
  }
  return rules;
}

/** Where the guard of a server that runs elsewhere must get to. A name may mean any address, and a Service any pod of its namespace. */
function targetRules({ remote, service }: ChildInput['server']['spec']): Egress[] {
  if (service !== undefined) return [{ to: [{ podSelector: {} }] }];
  if (remote === undefined) return [];
  const { port, protocol } = new URL(remote.url);
  return [{ ports: tcp(port !== '' ? Number(port) : protocol === 'https:' ? 443 : 80) }];
}

/**
 * Where traces go. A Service of the cluster means any pod of its namespace, whatever port that has; every other name may mean any address.
 * The pod's other containers may go there as well: NetworkPolicies know pods, not containers.
 */
function traceRule({ hostname, port, protocol }: URL, clusterDomain: string): Egress {
  const namespace = serviceNamespace(hostname, clusterDomain);
  if (namespace === '') return { to: [{ podSelector: {} }] };
  if (namespace !== undefined) return { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }] };
  return { ports: tcp(port !== '' ? Number(port) : protocol === 'https:' ? 443 : 80) };
}

/** The namespace of a Service by its name in DNS; empty: the own one; `undefined`: not a Service. A name of two parts is one, as the resolver of pods has it. */
function serviceNamespace(hostname: string, clusterDomain: string): string | undefined {
  if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return undefined;
  const [, namespace = '', svc, ...domain] = hostname.split('.');
  if (svc === undefined) return namespace;
  return svc === 'svc' && (domain.length === 0 || domain.join('.') === clusterDomain) ? namespace : undefined;
}

/** Service address and endpoints: what a network plugin compares with depends on whether it looks before or after the translation. */
function apiServerRules({ clusterIPs, servicePort, endpoints }: APIServerAddresses): Egress[] {
  const addresses = [...clusterIPs.map((ip) => ({ ip, port: servicePort })), ...endpoints];
  const byPort = Map.groupBy(addresses, ({ port }) => port);
  return [...byPort]
    .toSorted(([a], [b]) => a - b)
    .map(([port, list]) => ({
      ports: [{ port, protocol: 'TCP' }],
      to: [...new Set(list.map(({ ip }) => ip))].toSorted().map((ip) => ({ ipBlock: { cidr: `${ip}/${ip.includes(':') ? 128 : 32}` } })),
    }));
}

const dataPort = ({ guard, transport }: ChildInput['server']['spec']): number | string =>
  guard.enabled ? GuardPort.Data : (serverPort(transport) ?? MCP_PORT_NAME);
