import { describe, expect, it } from 'vitest';
import { KubeError } from '../../kube/errors.ts';
import { NameConflict } from '../../runtime/ownership.ts';
import { WaitingError } from '../../runtime/reconcile.ts';
import { awaited, ownFailure, refusal } from './refusal.ts';

describe('refusal', () => {
  const taken = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x', namespace: 'a' } };
  const cases: Record<string, [error: unknown, reason: string | undefined]> = {
    'a name that is taken': [new NameConflict(taken), 'NameConflict'],
    'an object that makes no sense': [new KubeError('Invalid', 'spec.x: Invalid value'), 'InvalidSpec'],
    'a quota': [new KubeError('Forbidden', 'services "x" is forbidden: exceeded quota: team'), 'InvalidSpec'],
    'a privilege that would escalate': [
      new KubeError('Forbidden', 'roles "x" is forbidden: user "op" is attempting to grant RBAC permissions not currently held'),
      'AccessNotGrantable',
    ],
    'a right that the operator lacks': [
      new KubeError('Forbidden', 'services "x" is forbidden: User "op" cannot patch resource "services"'),
      undefined,
    ],
    'a namespace that ends': [
      new KubeError('Forbidden', 'services "x" is forbidden: unable to create new content in namespace a because it is being terminated'),
      undefined,
    ],
    'a namespace that does not exist': [new KubeError('NotFound', 'namespaces "x" not found'), 'ReferenceNotFound'],
    'an object that is gone': [new KubeError('NotFound', 'services "x" not found'), undefined],
    'a broken connection': [new KubeError('Network', 'reset'), undefined],
    'a bug': [new TypeError('x is undefined'), undefined],
  };
  for (const [name, [error, reason]] of Object.entries(cases))
    it(`${reason === undefined ? 'does not blame the spec for' : 'finds'} ${name}`, () => expect(refusal(error)?.reason).toBe(reason));
});

describe("a failure that is not the user's", () => {
  const lacking = new KubeError('Forbidden', 'services "x" is forbidden: User "op" cannot patch resource "services"');
  const full = new KubeError('InternalError', 'failed to allocate a serviceIP: range is full');

  it('is told at once where a right is missing', () => expect(ownFailure(lacking, 1)).toMatch(/^The operator lacks a right: services "x"/));
  it('is told of an API server that goes on failing', () => {
    expect(ownFailure(full, 1)).toBeUndefined();
    expect(ownFailure(full, 3)).toBe('The API server fails: failed to allocate a serviceIP: range is full');
    for (const code of ['TooManyRequests', 'Timeout', 'ServiceUnavailable', 'Conflict', 'Unknown'] as const)
      expect([ownFailure(new KubeError(code, 'x'), 2), ownFailure(new KubeError(code, 'x'), 3)]).toEqual([
        undefined,
        'The API server fails: x',
      ]);
  });
  for (const error of [new KubeError('Network', 'reset'), new KubeError('Fenced', 'not the leader'), new TypeError('x is undefined')])
    it(`is not told of ${error.message}`, () => expect(ownFailure(error, 9)).toBeUndefined());
});

describe('a namespace that ends', () => {
  it('is waited for', () => {
    const error = new KubeError('Forbidden', 'unable to create new content in namespace a because it is being terminated');
    expect(awaited(error)).toBeInstanceOf(WaitingError);
    const other = new KubeError('Network', 'reset');
    expect(awaited(other)).toBe(other);
  });
});
