import { randomBytes } from 'node:crypto';

/** Every secret that the suites give to servers, guards or callers has this in it, so that it is recognised wherever it should not be. */
export const PLANTED = 'planted-secret';

/** A new one: an API key, a token, an argument that nobody shall read in a log. */
export const plantedSecret = (): string => `${PLANTED}-${randomBytes(12).toString('hex')}`;
