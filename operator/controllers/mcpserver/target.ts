import { isIP } from 'node:net';
import type { MCPServer } from '../../../api/mcpserver.ts';
import type { NetworkPolicyPeer, Service } from '../../kube/wire.ts';

/** A Service that a host name may stand for. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
  /** The name can be nothing else. `example.com` may be Service `example` of namespace `com`, or a host of the internet. */
  readonly certain: boolean;
}

/** Where something listens, as a URL has it. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export function endpointOf({ hostname, port, protocol }: URL): Endpoint {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return { host, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
}

/** The Service that pods of namespace `own` may mean by a host name, as their resolver has it; `undefined`: none. */
export function serviceOf(host: string, own: string, clusterDomain: string): ServiceName | undefined {
  if (isIP(host) !== 0) return undefined;
  const [name = '', namespace, svc, ...domain] = host.split('.');
  if (namespace === undefined) return { namespace: own, name, certain: true };
  if (svc === undefined) return { namespace, name, certain: false };
  return svc === 'svc' && (domain.length === 0 || domain.join('.') === clusterDomain) ? { namespace, name, certain: true } : undefined;
}

/** The Service behind which a server runs that runs elsewhere; `undefined`: none, or it runs in our own pods. */
export function targetService({ metadata, spec }: MCPServer, clusterDomain: string): ServiceName | undefined {
  const { namespace = '' } = metadata;
  if (spec.service !== undefined) return { namespace, name: spec.service.name, certain: true };
  return spec.remote === undefined ? undefined : serviceOf(endpointOf(new URL(spec.remote.url)).host, namespace, clusterDomain);
}

/** What is allowed out of a pod. */
export interface Rule {
  readonly ports?: readonly { readonly port: number | string; readonly protocol: string }[];
  readonly to?: readonly NetworkPolicyPeer[];
}

/** Ranges that are not the internet: RFC 1918, carrier-grade NAT, link-local with the metadata service of clouds, and their like in IPv6. */
const PRIVATE_V4 = ['10.0.0.0/8', '100.64.0.0/10', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'];
/** The last one maps IPv4 addresses, private ones too (RFC 6052). */
const PRIVATE_V6 = ['64:ff9b::/96', 'fc00::/7', 'fe80::/10'];

export const INTERNET: readonly NetworkPolicyPeer[] = [
  { ipBlock: { cidr: '0.0.0.0/0', except: PRIVATE_V4 } },
  { ipBlock: { cidr: '::/0', except: PRIVATE_V6 } },
];

export const tcp = (...ports: readonly (number | string)[]) => [...new Set(ports)].map((port) => ({ port, protocol: 'TCP' }));
export const addresses = (ips: readonly string[]): NetworkPolicyPeer[] =>
  [...new Set(ips)].toSorted().map((ip) => ({ ipBlock: { cidr: `${ip}/${ip.includes(':') ? 128 : 32}` } }));
export const namespacePeer = (namespace: string): NetworkPolicyPeer => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
});

/** What a guard must get to whose server runs elsewhere. `service`: the Service that `targetService` names, if it exists. */
export function targetRules(server: MCPServer, service: Service | undefined, clusterDomain: string): Rule[] {
  const { remote, service: named } = server.spec;
  const { namespace = '' } = server.metadata;
  const endpoint = named === undefined ? remote && endpointOf(new URL(remote.url)) : { host: named.name, port: named.port };
  if (endpoint === undefined) return [];
  const target = targetService(server, clusterDomain);
  if (target !== undefined && service !== undefined)
    return serviceRules(service, endpoint.port, target.namespace === namespace ? undefined : target.namespace);
  // Not there, or not to be seen by this operator: any pod of its namespace.
  if (target?.certain === true) return [{ to: [target.namespace === namespace ? { podSelector: {} } : namespacePeer(target.namespace)] }];
  return [hostRule(endpoint)];
}

/** A name of the internet means no private address: what resolves to one is named in `network.egress.to`. */
const hostRule = ({ host, port }: Endpoint): Rule => ({ ports: tcp(port), to: isIP(host) === 0 ? [...INTERNET] : addresses([host]) });

/** Service address and pods: what a network plugin compares with depends on whether it looks before or after the translation. */
function serviceRules({ spec = {} }: Service, port: number, elsewhere: string | undefined): Rule[] {
  const { clusterIPs = [], ports = [], selector = {}, type, externalName } = spec;
  if (type === 'ExternalName') return [hostRule({ host: externalName ?? '', port })];
  const ips = clusterIPs.filter((ip) => ip !== 'None');
  const targetPort = ports.find((entry) => entry.port === port)?.targetPort ?? port;
  // Without an address of its own nothing is translated: callers use the port as it stands.
  const behind = tcp(targetPort, ...(ips.length === 0 ? [port] : []));
  return [
    ...(ips.length === 0 ? [] : [{ ports: tcp(port), to: addresses(ips) }]),
    Object.keys(selector).length === 0
      ? // Its endpoints are written by hand, and may be anywhere.
        { ports: behind }
      : {
          ports: behind,
          to: [{ ...(elsewhere !== undefined && namespacePeer(elsewhere)), podSelector: { matchLabels: selector } }],
        },
  ];
}
