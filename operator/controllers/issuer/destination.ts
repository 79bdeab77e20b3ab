import { BlockList, isIP } from 'node:net';

/** Where keys may be fetched from. */
export interface Destinations {
  readonly clusterDomain: string;
  /** Hosts of the administrator's choice that may have any address: `idp.corp.example`, `*.corp.example`. */
  readonly privateIssuers: readonly string[];
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

/** A Service of the cluster: `name.namespace.svc`, with or without the cluster's domain. */
export const isClusterLocal = (host: string, clusterDomain: string): boolean =>
  host.endsWith('.svc') || host.endsWith(`.svc.${clusterDomain}`);

/** The host of a URL as it is connected to. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');

/** Why a URL must not be fetched, whatever its host resolves to; `undefined`: it may. */
export function refusedURL(url: URL, { clusterDomain }: Destinations): string | undefined {
  if (url.username !== '' || url.password !== '') return 'it has a user or password';
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isClusterLocal(hostOf(url), clusterDomain))) return undefined;
  return 'it must be https; http is for Services of this cluster alone';
}

/** Why a host must not be reached at the address that its name stands for; `undefined`: it may. */
export function refusedAddress(host: string, address: string, { clusterDomain, privateIssuers }: Destinations): string | undefined {
  if (privateIssuers.some((allowed) => matches(allowed, host))) return undefined;
  if (has(FORBIDDEN, address)) return `${host} has a loopback, link-local or reserved address`;
  if (!has(PRIVATE, address) || isClusterLocal(host, clusterDomain)) return undefined;
  return `${host} has a private address, which the operator fetches keys from only if its administrator says so (--private-issuers)`;
}

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
