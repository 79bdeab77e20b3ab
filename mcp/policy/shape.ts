/**
 * The few checks that reading a bundle needs. The guard does without zod: it would double its start and its memory for one file that a program wrote.
 * All are strict: an unknown member is an error.
 */
export class ShapeError extends Error {
  constructor(path: string, problem: string) {
    super(`${path === '' ? 'the bundle' : path.slice(1)} ${problem}`);
    this.name = 'ShapeError';
  }
}

/** Returns if the value has the shape, throws `ShapeError` with its place if not. */
export type Shape = (value: unknown, path: string) => void;

export const text =
  (check: (value: string) => boolean = () => true, expected = 'a string'): Shape =>
  (value, path) => {
    if (typeof value !== 'string' || !check(value)) throw new ShapeError(path, `must be ${expected}`);
  };

export const name: Shape = text((value) => value !== '', 'a name');

export const bool: Shape = (value, path) => {
  if (typeof value !== 'boolean') throw new ShapeError(path, 'must be true or false');
};

export const number =
  (min = Number.NEGATIVE_INFINITY, { integer = true } = {}): Shape =>
  (value, path) => {
    const fits = typeof value === 'number' && Number.isFinite(value) && value >= min && (!integer || Number.isInteger(value));
    if (!fits)
      throw new ShapeError(
        path,
        `must be ${integer ? 'an integer' : 'a number'}${min > Number.NEGATIVE_INFINITY ? ` of ${min} or more` : ''}`,
      );
  };

export const oneOf =
  (...values: readonly unknown[]): Shape =>
  (value, path) => {
    if (!values.includes(value)) throw new ShapeError(path, `must be one of ${values.join(', ')}`);
  };

export const list =
  (item: Shape, { min = 0 } = {}): Shape =>
  (value, path) => {
    if (!Array.isArray(value)) throw new ShapeError(path, 'must be a list');
    if (value.length < min) throw new ShapeError(path, `must have ${min} or more entries`);
    value.forEach((entry, at) => item(entry, `${path}.${at}`));
  };

export const record =
  (item: Shape): Shape =>
  (value, path) => {
    for (const [key, member] of Object.entries(members(value, path))) item(member, `${path}.${key}`);
  };

export const object =
  (required: Readonly<Record<string, Shape>>, optional: Readonly<Record<string, Shape>> = {}): Shape =>
  (value, path) => {
    const own = members(value, path);
    for (const key of Object.keys(required)) if (!Object.hasOwn(own, key)) throw new ShapeError(`${path}.${key}`, 'is missing');
    for (const [key, member] of Object.entries(own)) {
      const shape = Object.hasOwn(required, key) ? required[key] : Object.hasOwn(optional, key) ? optional[key] : undefined;
      if (shape === undefined) throw new ShapeError(`${path}.${key}`, 'is not known to this version');
      shape(member, `${path}.${key}`);
    }
  };

/** An object whose other members depend on one of them. */
export const variants =
  (by: string, shapes: Readonly<Record<string, Shape>>): Shape =>
  (value, path) => {
    const kind = members(value, path)[by];
    const shape = typeof kind === 'string' && Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
    if (shape === undefined) throw new ShapeError(`${path}.${by}`, `must be one of ${Object.keys(shapes).join(', ')}`);
    shape(value, path);
  };

export const all =
  (...shapes: readonly Shape[]): Shape =>
  (value, path) => {
    for (const shape of shapes) shape(value, path);
  };

/** A condition that involves several members; `check` returns the problem. */
export const rule =
  (check: (value: Readonly<Record<string, unknown>>) => string | undefined): Shape =>
  (value, path) => {
    const problem = check(members(value, path));
    if (problem !== undefined) throw new ShapeError(path, problem);
  };

function members(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ShapeError(path, 'must be an object');
  return value as Readonly<Record<string, unknown>>;
}
