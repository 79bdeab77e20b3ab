/** Burns down with every reading of what it is laid to; then reading throws. */
export interface Fuse {
  left: number;
  blown: boolean;
}

export function burn(fuse: Fuse): void {
  if (fuse.blown || fuse.left === 0) {
    fuse.blown = true;
    throw new Error('boom');
  }
  fuse.left -= 1;
}

/** The value, but reading it throws when the fuse has burnt down. */
export function explosive<Value>(value: Value, fuse: Fuse): Value {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get(target, key): unknown {
      burn(fuse);
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === 'function' ? member : explosive(member, fuse);
    },
    getOwnPropertyDescriptor(target, key) {
      burn(fuse);
      return Reflect.getOwnPropertyDescriptor(target, key);
    },
    ownKeys(target) {
      burn(fuse);
      return Reflect.ownKeys(target);
    },
  });
}
