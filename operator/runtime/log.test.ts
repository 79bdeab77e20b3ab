import { describe, expect, it } from 'vitest';
import { KubeError } from '../kube/errors.ts';
import { logger } from './log.ts';

function lines(write: (log: ReturnType<typeof logger>) => void) {
  const seen: Record<string, unknown>[] = [];
  write(logger({ level: 'debug', destination: { write: (line) => void seen.push(JSON.parse(line)) } }));
  return seen;
}

describe('logger', () => {
  it('writes level names, times and fields', () => {
    const [line] = lines((log) => log.info({ key: 'ns/a' }, 'applied'));
    expect(line).toEqual({ level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), key: 'ns/a', msg: 'applied' });
  });

  it('cuts credentials out', () => {
    const [line] = lines((log) =>
      log.info({ headers: { authorization: 'Bearer x' }, request: { headers: { authorization: 'y' } }, user: { token: 'z' } }, 'sent'),
    );
    expect(JSON.stringify(line)).not.toMatch(/Bearer x|"y"|"z"/);
  });

  it('gives a stack of a bug, not of a refusal by the API server', () => {
    const [bug, refusal] = lines((log) => {
      log.error({ err: new TypeError('x') }, 'failed');
      log.error({ err: new KubeError('Forbidden', 'no', { status: 403 }) }, 'failed');
    });
    expect(bug?.['err']).toMatchObject({ type: 'TypeError', stack: expect.any(String) });
    expect(refusal?.['err']).toEqual({ type: 'KubeError', message: 'no', code: 'Forbidden', status: 403 });
  });
});
