import { z } from 'zod';
import { ByteSize } from './bytesize.ts';
import { NameGlobs } from './policyrule.ts';
import { listMap, rules } from './schema/markers.ts';
import { Duration } from './schema/duration.ts';
import { DNSLabel } from './schema/names.ts';

const RateLimit = z
  .object({
    name: DNSLabel.describe('Name of the limit; told to the caller whom it refuses.'),
    per: z.enum(['Caller', 'CallerAndTool', 'Server']).describe('Who shares one allowance.'),
    requests: z.int32().min(1).max(1_000_000).describe('Requests per window. Divided among the replicas of the server.'),
    window: Duration.describe('Length of the window.'),
    burst: z.int32().min(1).max(1_000_000).optional().describe('Requests that may come at once. Default: as many as requests.'),
    tools: NameGlobs.optional().describe('Only calls of these tools count. Default: every request counts.'),
  })
  .meta(
    rules(
      {
        rule: "duration(self.window) >= duration('100ms') && duration(self.window) <= duration('24h')",
        message: 'must be from 100ms to 24h',
        fieldPath: '.window',
      },
      {
        rule: "self.per != 'CallerAndTool' || has(self.tools)",
        message: 'say which tools an allowance per tool is about: tools: ["*"] is all',
      },
    ),
  );

const Concurrency = z.object({
  perCaller: z.int32().min(1).optional().describe('Calls in flight of one caller. Default: no limit.'),
  total: z.int32().min(1).optional().describe('Calls in flight of all callers, per replica. Default: no limit.'),
  streamsPerCaller: z.int32().min(1).optional().describe('Open streams of one caller. Default: no limit.'),
});

export const PolicyLimits = z
  .object({
    rate: z.array(RateLimit).max(16).meta(listMap('name')).optional().describe('Rates; all hold. Default: none.'),
    concurrency: Concurrency.optional().describe('How much may go on at once, per replica. Default: no limit.'),
    maxRequestBytes: ByteSize.optional().describe('Largest request. Default: that of the guard, 4Mi.'),
    maxResponseBytes: ByteSize.optional().describe('Largest response or event. Default: that of the guard, 64Mi.'),
    callTimeout: Duration.optional().describe('Longest call. Default: that of the guard, none.'),
  })
  .meta(
    rules({
      rule: "!has(self.callTimeout) || (duration(self.callTimeout) >= duration('1s') && duration(self.callTimeout) <= duration('24h'))",
      message: 'must be from 1s to 24h',
      fieldPath: '.callTimeout',
    }),
  );
