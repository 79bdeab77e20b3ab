import { z } from 'zod';
import { NetworkPolicyPeers } from './network.ts';
import { HTTPHeaders } from './header.ts';
import { Duration } from './schema/duration.ts';
import { listSet, rules, saying } from './schema/markers.ts';
import { Labels } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';

export const Verification = z
  .object({
    interval: Duration.default('5m').describe(
      'Time between two verifications, give or take 10 %, beside those that changes cause; from 10s to 24h. Default: 5m.',
    ),
    timeout: Duration.default('5s').describe('Time that one request of a verification may take; from 100ms to 5m. Default: 5s.'),
    requiredTools: z
      .array(z.string().min(1).max(256))
      .max(256)
      .meta(listSet)
      .optional()
      .describe('Tools without which the server is not Ready (RequiredToolMissing). Default: none.'),
    headers: HTTPHeaders.optional().describe(
      'Headers to send, for a server that lists its tools only to callers with a credential. Default: none.',
    ),
  })
  .meta(
    rules(
      {
        rule: "duration(self.interval) >= duration('10s') && duration(self.interval) <= duration('24h')",
        message: 'interval must be from 10s to 24h',
        fieldPath: '.interval',
      },
      {
        rule: "duration(self.timeout) >= duration('100ms') && duration(self.timeout) <= duration('5m')",
        message: 'timeout must be from 100ms to 5m',
        fieldPath: '.timeout',
      },
    ),
  );
export type Verification = Plain<z.output<typeof Verification>>;

const PodMonitor = z.object({
  enabled: z.boolean().default(false).describe('Whether a PodMonitor is made, as soon as the cluster has that API. Default: false.'),
  labels: Labels.optional().describe('Labels of the PodMonitor, by which a Prometheus selects it. Default: none.'),
});

export const Telemetry = z.object({
  podMonitor: PodMonitor.prefault({}).describe('A PodMonitor for the Prometheus operator. Default: none.'),
  scrapeFrom: NetworkPolicyPeers.optional().describe('Who may open connections to the metrics port of the guard. Default: nobody.'),
  otlpEndpoint: z
    .string()
    .max(2048)
    .regex(/^(https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?)?$/)
    .meta(saying('must be empty or an http or https URL such as http://collector.observability:4318'))
    .optional()
    .describe(
      'Base URL of a receiver of traces (OTLP over HTTP, usually port 4318) to which the guard sends a span for each request; without effect without a guard. Default, or empty: nowhere.',
    ),
});
export type Telemetry = Plain<z.output<typeof Telemetry>>;
