import type { z } from 'zod';

/**
 * A zod output as it travels in JSON: what is optional is absent, never `undefined`, and nothing may be changed in place.
 * That makes it assignable to the types of the Kubernetes client under `exactOptionalPropertyTypes`.
 */
export type Plain<T> = T extends readonly (infer Item)[]
  ? readonly Plain<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: Plain<Exclude<T[K], undefined>> }
    : T;

/**
 * A value with its defaults filled in and unknown fields dropped, as the API server would store it; rules of CEL are not checked.
 *
 * @throws z.ZodError with the path of each problem
 */
export const parse = <T extends z.ZodType>(type: T, value: unknown): Plain<z.output<T>> => type.parse(value) as Plain<z.output<T>>;
