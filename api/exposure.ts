import { z } from 'zod';
import { listSet, saying } from './schema/markers.ts';
import { Annotations, DNSLabel, HostName, ObjectName, Port, URLPath } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';

const ServiceExposure = z.object({
  type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP').describe('Type of the Service. Default: ClusterIP.'),
  port: Port.default(80).describe('Port of the Service. Default: 80.'),
  annotations: Annotations.optional().describe('Annotations of the Service. Default: none.'),
});

/** `gateway.networking.k8s.io/v1.ParentReference`. */
const ParentReference = z.object({
  group: z.string().max(253).optional().describe('Default: gateway.networking.k8s.io.'),
  kind: z.string().min(1).max(63).optional().describe('Default: Gateway.'),
  namespace: DNSLabel.optional().describe('Default: this namespace.'),
  name: ObjectName.describe('Name of the Gateway.'),
  sectionName: ObjectName.optional().describe('Listener of the Gateway. Default: all that allow it.'),
  port: Port.optional().describe('Port of the listener. Default: all that allow it.'),
});

const HTTPRouteExposure = z.object({
  parentRefs: z.array(ParentReference).min(1).max(32).describe('Gateways that take the route.'),
  hostnames: z.array(HostName).max(16).optional().describe("Host names. Default: those of the Gateway's listeners."),
  path: URLPath.default('/').describe('Path prefix under which the server appears. Default: /, so that callers use /mcp.'),
});

const IngressExposure = z.object({
  className: ObjectName.optional().describe("IngressClass. Default: the cluster's default."),
  host: HostName.describe('Host name.'),
  tlsSecretName: ObjectName.optional().describe('Secret with certificate and key. Default: none, plain HTTP.'),
  annotations: Annotations.optional().describe('Annotations of the Ingress. Default: none.'),
});

const Origin = z
  .string()
  .max(512)
  .regex(/^https?:\/\/[^\s/?#@]+$/)
  .meta(saying('must be an origin: scheme and host, with a port if needed, without a path, such as https://app.example.com'));

export const Exposure = z.object({
  service: ServiceExposure.prefault({}).describe('The Service. Default: ClusterIP on port 80.'),
  allowedOrigins: z
    .array(Origin)
    .max(64)
    .meta(listSet)
    .optional()
    .describe("Browser origins that the guard takes besides the server's own hosts. Default: none."),
  httpRoute: HTTPRouteExposure.optional().describe(
    'An HTTPRoute of the Gateway API; made as soon as the cluster has that API. Default: none.',
  ),
  ingress: IngressExposure.optional().describe('An Ingress. Default: none.'),
});
export type Exposure = Plain<z.output<typeof Exposure>>;
