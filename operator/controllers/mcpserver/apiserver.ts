import type { EndpointSlice, Service } from '../../kube/wire.ts';
import type { APIServerAddresses } from './input.ts';

const HTTPS = 443;

/** Where pods reach the API server, from Service default/kubernetes and its endpoints. In a fixed order, so that equal addresses are equal bytes. */
export function apiServerAddresses(service: Service | undefined, slices: Iterable<EndpointSlice>): APIServerAddresses {
  const { clusterIPs = [], ports = [] } = service?.spec ?? {};
  const endpoints = [...slices].flatMap(({ endpoints: list, ports: slicePorts = [] }) =>
    (list ?? []).flatMap(({ addresses }) => addresses.flatMap((ip) => slicePorts.map(({ port = HTTPS }) => ({ ip, port })))),
  );
  return {
    clusterIPs: clusterIPs.filter((ip) => ip !== 'None').toSorted(),
    servicePort: ports[0]?.port ?? HTTPS,
    endpoints: endpoints.toSorted((a, b) => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : a.port - b.port)),
  };
}
