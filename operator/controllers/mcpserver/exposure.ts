import { ExposedReason } from '../../../api/conditions.ts';
import type { MCPServer, MCPServerStatus } from '../../../api/mcpserver.ts';
import type { Untyped } from '../../kube/resources.ts';
import type { Ingress, Service } from '../../kube/wire.ts';
import type { Condition } from '../../runtime/conditions.ts';
import { routeURLs } from './httproute.ts';
import { ingressURL } from './ingress.ts';
import { oneLine } from './quote.ts';
import { serviceURL } from './service.ts';

export interface Exposed {
  readonly service: Service | undefined;
  readonly ingress: Ingress | undefined;
  readonly httpRoute: Untyped | undefined;
  readonly hasHTTPRoutes: boolean;
}

export interface ExposureState {
  readonly status: 'True' | 'False';
  readonly reason: keyof typeof ExposedReason;
  readonly message: string;
}

/** The condition `Exposed`; `undefined` where nothing beyond the cluster is asked for. */
export function exposure({ spec }: MCPServer, exposed: Exposed): ExposureState | undefined {
  const { service, httpRoute, ingress } = spec.expose;
  const asked = [
    ...(httpRoute === undefined ? [] : [routeState(exposed)]),
    ...(ingress === undefined ? [] : [ingressState(exposed.ingress)]),
    ...(service.type === 'LoadBalancer' ? [loadBalancerState(exposed.service)] : []),
  ];
  return asked.find(({ status }) => status !== 'True') ?? asked[0];
}

interface RouteParent {
  readonly parentRef?: { readonly name?: string };
  readonly conditions?: readonly Pick<Condition, 'type' | 'status' | 'reason' | 'message'>[];
}

function routeState({ httpRoute, hasHTTPRoutes }: Exposed): ExposureState {
  if (!hasHTTPRoutes) {
    return {
      status: 'False',
      reason: ExposedReason.GatewayAPINotInstalled,
      message: 'This cluster does not know HTTPRoute: install the Gateway API; the route appears by itself then',
    };
  }
  const parents = (httpRoute?.status?.['parents'] ?? []) as readonly RouteParent[];
  if (parents.length === 0)
    return { status: 'False', reason: ExposedReason.Pending, message: 'No Gateway has answered to the HTTPRoute yet' };
  for (const { parentRef, conditions = [] } of parents) {
    const refusal = conditions.find(({ type, status }) => ['Accepted', 'ResolvedRefs'].includes(type) && status === 'False');
    if (refusal !== undefined) {
      return {
        status: 'False',
        reason: ExposedReason.RouteNotAccepted,
        message: `Gateway ${parentRef?.name ?? ''} says ${refusal.reason}: ${oneLine(refusal.message)}`,
      };
    }
    if (!conditions.some(({ type, status }) => type === 'Accepted' && status === 'True')) {
      return {
        status: 'False',
        reason: ExposedReason.Pending,
        message: `Gateway ${parentRef?.name ?? ''} has not accepted the HTTPRoute yet`,
      };
    }
  }
  return { status: 'True', reason: ExposedReason.Exposed, message: 'The HTTPRoute is accepted' };
}

const hasAddress = (status: { readonly loadBalancer?: { readonly ingress?: readonly unknown[] } } | undefined): boolean =>
  (status?.loadBalancer?.ingress ?? []).length > 0;

const ingressState = (ingress: Ingress | undefined): ExposureState =>
  hasAddress(ingress?.status)
    ? { status: 'True', reason: ExposedReason.Exposed, message: 'The Ingress has an address' }
    : {
        status: 'False',
        reason: ExposedReason.Pending,
        message: 'No controller has given the Ingress an address yet: is there one for its class?',
      };

const loadBalancerState = (service: Service | undefined): ExposureState =>
  hasAddress(service?.status)
    ? { status: 'True', reason: ExposedReason.Exposed, message: 'The load balancer has an address' }
    : { status: 'False', reason: ExposedReason.Pending, message: 'The Service has no address of a load balancer yet' };

/** `status.address`. */
export function address(server: MCPServer, clusterDomain: string): NonNullable<MCPServerStatus['address']> {
  const ingress = ingressURL(server);
  const externalURLs = [...routeURLs(server), ...(ingress === undefined ? [] : [ingress])];
  return { url: serviceURL(server, clusterDomain), ...(externalURLs.length > 0 && { externalURLs }) };
}
