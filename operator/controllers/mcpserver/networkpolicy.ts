import { GuardPort, MCP_PORT_NAME } from '../../../api/group.ts';
import { serverPort } from '../../../api/transport.ts';
import type { NetworkPolicy, NetworkPolicyPeer } from '../../kube/wire.ts';
import { hasTraces } from './guard.ts';
import { type APIServerAddresses, type ChildInput, hasGuard } from './input.ts';
import { childMeta, selector } from './names.ts';
import { addresses, endpointOf, INTERNET, namespacePeer, type Rule, serviceOf, targetRules, tcp } from './target.ts';

type Spec = NonNullable<NetworkPolicy['spec']>;
/** The generated type calls `from` by another name, since it is a word of Python. */
type Ingress = Omit<NonNullable<Spec['ingress']>[number], '_from'> & { readonly from?: readonly NetworkPolicyPeer[] };
type Egress = NonNullable<Spec['egress']>[number];

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

function egress({ server, apiServer, settings, target }: ChildInput): Egress[] {
  const { dns, to = [], internet } = server.spec.network.egress;
  const rules: Rule[] = [];
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
  rules.push(...targetRules(server, target, settings.clusterDomain));
  if (hasGuard(server) && hasTraces(server.spec))
    rules.push(...traceRules(new URL(server.spec.telemetry.otlpEndpoint), server.metadata.namespace ?? '', settings.clusterDomain));
  if (to.length > 0) rules.push({ to: [...to] });
  if (server.spec.kubernetesAccess !== undefined) rules.push(...apiServerRules(apiServer));
  if (internet) rules.push({ to: INTERNET });
  return rules;
}

/**
 * Where traces go. A Service of the cluster means any pod of its namespace, whatever port that has; every other name may mean any address, and
 * `honeycomb.io` either. The pod's other containers may go there as well: NetworkPolicies know pods, not containers.
 */
function traceRules(url: URL, own: string, clusterDomain: string): Rule[] {
  const { host, port } = endpointOf(url);
  const service = serviceOf(host, own, clusterDomain);
  return [
    ...(service?.certain === true ? [] : [{ ports: tcp(port) }]),
    ...(service === undefined ? [] : [{ to: [service.namespace === own ? { podSelector: {} } : namespacePeer(service.namespace)] }]),
  ];
}

/** Service address and endpoints: what a network plugin compares with depends on whether it looks before or after the translation. */
function apiServerRules({ clusterIPs, servicePort, endpoints }: APIServerAddresses): Rule[] {
  const reached = [...clusterIPs.map((ip) => ({ ip, port: servicePort })), ...endpoints];
  const byPort = Map.groupBy(reached, ({ port }) => port);
  return [...byPort].toSorted(([a], [b]) => a - b).map(([port, list]) => ({ ports: tcp(port), to: addresses(list.map(({ ip }) => ip)) }));
}

const dataPort = ({ guard, transport }: ChildInput['server']['spec']): number | string =>
  guard.enabled ? GuardPort.Data : (serverPort(transport) ?? MCP_PORT_NAME);
