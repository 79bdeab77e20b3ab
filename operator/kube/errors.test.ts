import { describe, expect, it } from 'vitest';
import { errorOf, isKubeError } from './errors.ts';

const body = (code: number, reason: string, details?: object) =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'said', reason, code, details });

describe('errorOf', () => {
  const cases = {
    'a name that is taken': { status: 409, body: body(409, 'AlreadyExists'), code: 'AlreadyExists' },
    'a version that is old': { status: 409, body: body(409, 'Conflict'), code: 'Conflict' },
    'a watch from too far back': { status: 410, body: body(410, 'Expired'), code: 'Expired' },
    'a continue token that is gone': { status: 410, body: body(410, 'Gone'), code: 'Expired' },
    'an object that breaks rules': { status: 422, body: body(422, 'Invalid'), code: 'Invalid' },
    'a reason nobody knows': { status: 403, body: body(403, 'Whatever'), code: 'Forbidden' },
    'no reason': { status: 404, body: '404 page not found', code: 'NotFound' },
    'broken JSON': { status: 500, body: '{"kind":', code: 'InternalError' },
    'a status nobody knows': { status: 418, body: '', code: 'Unknown' },
  } as const;
  for (const [title, { status, body: text, code }] of Object.entries(cases)) {
    it(`names ${title} ${code}`, () => {
      expect(errorOf(status, text, 'GET /x')).toMatchObject({ code, status });
    });
  }

  it('keeps the message and the causes of the server', () => {
    const causes = [{ reason: 'FieldValueInvalid', field: 'metadata.uid', message: 'immutable' }];
    const error = errorOf(422, body(422, 'Invalid', { causes }), 'PATCH /x');
    expect(error.message).toBe('said');
    expect(error.details?.causes).toEqual(causes);
  });

  it('prefers the header over the details for how long to wait', () => {
    expect(errorOf(429, body(429, 'TooManyRequests', { retryAfterSeconds: 7 }), 'GET /x').retryAfter).toBe(7000);
    expect(errorOf(429, body(429, 'TooManyRequests', { retryAfterSeconds: 7 }), 'GET /x', 1000).retryAfter).toBe(1000);
  });

  it('is told apart by code', () => {
    expect(isKubeError(errorOf(404, '', 'x'), 'NotFound', 'Conflict')).toBe(true);
    expect(isKubeError(errorOf(403, '', 'x'), 'NotFound')).toBe(false);
    expect(isKubeError(new Error('NotFound'), 'NotFound')).toBe(false);
  });
});
