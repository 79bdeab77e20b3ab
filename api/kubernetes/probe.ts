import { z } from 'zod';
import { intOrString, rules } from '../schema/markers.ts';
import { Port } from '../schema/names.ts';

const ProbePort = z.union([z.int(), z.string()]).meta(intOrString);

const HTTPHeader = z.object({
  name: z.string().min(1).max(128).describe('Header name.'),
  value: z.string().max(4096).describe('Header value.'),
});

/** `core/v1.Probe`. */
export const Probe = z
  .object({
    exec: z
      .object({
        command: z.array(z.string().max(4096)).max(64).optional().describe('Command and arguments, without a shell. Default: none.'),
      })
      .optional()
      .describe('Runs a command in the container; exit code 0 is success.'),
    httpGet: z
      .object({
        port: ProbePort.describe('Number or name of a port of the container.'),
        path: z.string().max(1024).optional().describe('Default: /.'),
        host: z.string().max(253).optional().describe('Default: the address of the pod.'),
        scheme: z.enum(['HTTP', 'HTTPS']).optional().describe('Default: HTTP.'),
        httpHeaders: z.array(HTTPHeader).max(32).optional().describe('Headers to send. Default: none.'),
      })
      .optional()
      .describe('Sends a GET; a status from 200 to 399 is success.'),
    tcpSocket: z
      .object({
        port: ProbePort.describe('Number or name of a port of the container.'),
        host: z.string().max(253).optional().describe('Default: the address of the pod.'),
      })
      .optional()
      .describe('Opens a connection.'),
    grpc: z
      .object({
        port: Port.describe('Number of the port.'),
        service: z.string().max(253).optional().describe('Default: empty, the whole server.'),
      })
      .optional()
      .describe('Asks the gRPC health service.'),
    initialDelaySeconds: z.int32().min(0).optional().describe('Seconds before the first probe. Default: 0.'),
    periodSeconds: z.int32().min(1).optional().describe('Seconds between probes. Default: 10.'),
    timeoutSeconds: z.int32().min(1).optional().describe('Seconds until a probe has failed. Default: 1.'),
    successThreshold: z.int32().min(1).optional().describe('Successes in a row that end a failure. Default: 1.'),
    failureThreshold: z.int32().min(1).optional().describe('Failures in a row that count. Default: 3.'),
    terminationGracePeriodSeconds: z
      .int()
      .min(1)
      .optional()
      .describe('Grace period of a container that this probe ends. Default: that of the pod.'),
  })
  .meta(
    rules({
      rule: '[has(self.exec), has(self.httpGet), has(self.tcpSocket), has(self.grpc)].filter(x, x).size() == 1',
      message: 'set exactly one of exec, httpGet, tcpSocket and grpc',
    }),
  );
