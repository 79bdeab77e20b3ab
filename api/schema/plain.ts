/**
 * A zod output as it travels in JSON: what is optional is absent, never `undefined`, and nothing may be changed in place.
 * That makes it assignable to the types of the Kubernetes client under `exactOptionalPropertyTypes`.
 */
export type Plain<T> = T extends readonly (infer Item)[]
  ? readonly Plain<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: Plain<Exclude<T[K], undefined>> }
    : T;
