import { BlockList, isIP } from 'node:net';
import { type Key, keyOf } from '../../kube/object.ts';
import type { Service } from '../../kube/wire.ts';
import { serviceOf } from '../mcpserver/target.ts';

/** Where keys may be fetched from. */
export interface Destinations {
  readonly clusterDomain: string;
  /** Hosts of the administrator's choice that may have any address: `idp.corp.example`, `*.corp.example`. */
  readonly privateIssuers: readonly string[];
  /** A Service as it is now; `undefined`: there is none. */
  readonly service: (key: Key) => Service | undefined;
  /** Whose Services can be seen; those of all namespaces when empty. */
  readonly namespaces: readonly string[];
}

/**
 * Addresses of this machine, of its link (where clouds serve credentials), of groups and of no one. Nothing that a user names may lead there. The last
 * two are the metadata services of Alibaba Cloud and Azure.
 */
const FORBIDDEN = blockList(
  ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '224.0.0.0/3', '100.100.100.200/32', '168.63.129.16/32'],
  ['::/128', '::1/128', 'fe80::/10', 'fec0::/10', 'ff00::/8', 'fd00:ec2::254/128'],
);
/** Networks that are not the internet. NAT64, 6to4 and Teredo carry addresses of IPv4, private ones too. */
const PRIVATE = blockList(
  ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', '198.18.0.0/15'],
  ['fc00::/7', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16', '2001::/32'],
);

/** The Service that `name.namespace.svc` means, with or without the cluster's domain; `undefined` for every other host. */
function serviceAt(host: string, clusterDomain: string): { readonly namespace: string; readonly name: string } | undefined {
  const found = serviceOf(host, '', clusterDomain);
  return found?.certain === true && found.namespace !== '' ? found : undefined;
}

/** The host of a URL as it is connected to. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');

/** Why a URL must not be fetched, whatever its host resolves to; `undefined`: it may. */
export function refusedURL(url: URL, { clusterDomain }: Destinations): string | undefined {
  if (url.username !== '' || url.password !== '') return 'it has a user or password';
  if (url.protocol === 'https:' || (url.protocol === 'http:' && serviceAt(hostOf(url), clusterDomain) !== undefined)) return undefined;
  return 'it must be https; http is for Services of this cluster alone';
}

/** Why a host must not be reached at the address that its name stands for; `undefined`: it may. */
export function refusedAddress(host: string, address: string, destinations: Destinations): string | undefined {
  if (destinations.privateIssuers.some((allowed) => matches(allowed, host))) return undefined;
  if (has(FORBIDDEN, address)) return `${host} has a loopback, link-local or reserved address`;
  const service = serviceAt(host, destinations.clusterDomain);
  if (service !== undefined) {
    const refused = refusedService(service, address, destinations);
    return refused === undefined ? undefined : `Service ${service.name} of namespace ${service.namespace} ${refused}`;
  }
  return has(PRIVATE, address)
    ? `${host} has a private address, which the operator fetches keys from only if its administrator says so (--private-issuers)`
    : undefined;
}

/** Only a Service whose address is its own and whose pods Kubernetes finds leads into the cluster; every other leads where its author likes. */
function refusedService(
  at: { namespace: string; name: string },
  address: string,
  { service, namespaces }: Destinations,
): string | undefined {
  if (namespaces.length > 0 && !namespaces.includes(at.namespace))
    return 'cannot be seen by this operator (--namespaces): its administrator may allow the host (--private-issuers)';
  const found = service(keyOf(at));
  if (found === undefined) return 'does not exist';
  const { type, clusterIPs = [], selector = {} } = found.spec ?? {};
  if (type === 'ExternalName') return 'is of type ExternalName and leads elsewhere: name that host itself';
  if (!clusterIPs.some((ip) => ip !== 'None')) return `has no cluster IP, and could lead anywhere: give it one${OR_ALLOW}`;
  if (Object.keys(selector).length === 0) return `has no selector, and could lead anywhere: give it one${OR_ALLOW}`;
  return clusterIPs.includes(address) ? undefined : 'has another address than its name stands for: something else answers to that name';
}

const OR_ALLOW = ", or let the operator's administrator allow the host (--private-issuers)";

const matches = (allowed: string, host: string): boolean =>
  allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) && host.length > allowed.length - 1 : allowed === host;

const has = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

function blockList(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList();
  const add = (family: 'ipv4' | 'ipv6') => (range: string) => {
    const [network = '', prefix] = range.split('/');
    list.addSubnet(network, Number(prefix), family);
  };
  ipv4.forEach(add('ipv4'));
  ipv6.forEach(add('ipv6'));
  return list;
}
