import type { Action, ArgumentTest } from './bundle.ts';
import { expression } from './expression.ts';
import { globMatcher } from './glob.ts';
import { ABSENT, parsePointer, valuesAt } from './pointer.ts';

/**
 * Whether a test holds for the arguments that will be forwarded. All doubt goes towards refusal, which differs by what holding means:
 *
 * | the value | `lenient: false` (an Allow rule) | `lenient: true` (a Deny rule) |
 * |---|---|---|
 * | several, by `*` | all must pass | one is enough |
 * | absent | fails, but for `Absent` | passes NotEquals, NotIn, Absent |
 * | null | fails, but for `Exists` | like absent, but it exists |
 * | of another type than the operand | fails | passes |
 *
 * There is no coercion: "5" is not 5. Throws where a value cannot be judged (too many, too long, a number beyond 2^53).
 */
export type CompiledTest = (args: unknown) => boolean;

/** Longest text that a pattern is tried on; RE2 is linear, but not free. UTF-16 units. */
const MAX_TEXT = 65_536;

export type Doubt = 'fails' | 'passes';

/** In an Allow rule a doubtful test fails; in a Deny rule it passes. */
export const doubtOf = (effect: Action): Doubt => (effect === 'Allow' ? 'fails' : 'passes');

/** Throws when a pattern or pointer is not valid. */
export function compileTest(test: ArgumentTest, doubt: Doubt): CompiledTest {
  const segments = parsePointer(test.path);
  const holds = valueTest(test, doubt === 'passes');
  return doubt === 'passes' ? (args) => valuesAt(args, segments).some(holds) : (args) => valuesAt(args, segments).every(holds);
}

type ValueTest = (value: unknown) => boolean;

function valueTest(test: ArgumentTest, lenient: boolean): ValueTest {
  switch (test.operator) {
    case 'Exists':
      return (value) => value !== ABSENT;
    case 'Absent':
      return (value) => value === ABSENT;
    case 'NotEquals': {
      const equals = equality(test.value);
      return typed(typeof test.value, { absent: lenient, otherType: lenient }, (value) => !equals(value));
    }
    case 'NotIn': {
      const values = new Set<unknown>(test.values);
      return typed('string', { absent: lenient, otherType: lenient }, (value) => !values.has(value));
    }
    case 'Equals':
      return typed(typeof test.value, { absent: false, otherType: lenient }, equality(test.value));
    case 'In': {
      const values = new Set<unknown>(test.values);
      return typed('string', { absent: false, otherType: lenient }, (value) => values.has(value));
    }
    case 'Prefix':
      return text(lenient, (value) => value.startsWith(test.value));
    case 'Glob': {
      const matches = globMatcher(test.value, 'path');
      return text(lenient, (value) => matches(bounded(value)));
    }
    case 'Matches': {
      const compiled = expression(test.value);
      // Like CEL's `matches`, which checked it at admission: somewhere in the text, unless anchored.
      return text(lenient, (value) => compiled.matcher(bounded(value)).find());
    }
    case 'SubsetOf':
      return subset(new Set(test.values), lenient);
    case 'GreaterThan':
      return number(lenient, (value) => value > test.min);
    case 'LessThan':
      return number(lenient, (value) => value < test.max);
    case 'Between':
      return number(lenient, (value) => value >= test.min && value <= test.max);
    case 'MaxLength':
      return (value) => {
        if (isNothing(value)) return false;
        if (typeof value === 'string') return codePoints(value) <= test.max;
        return Array.isArray(value) ? value.length <= test.max : lenient;
      };
  }
}

const isNothing = (value: unknown): boolean => value === ABSENT || value === null;

function typed(type: string, doubt: { absent: boolean; otherType: boolean }, test: ValueTest): ValueTest {
  return (value) => {
    if (isNothing(value)) return doubt.absent;
    return typeof value === type ? test(value) : doubt.otherType;
  };
}

function equality(operand: string | number | boolean): ValueTest {
  return typeof operand === 'number' ? (value) => exact(value as number) === operand : (value) => value === operand;
}

function text(lenient: boolean, test: (value: string) => boolean): ValueTest {
  return typed('string', { absent: false, otherType: lenient }, (value) => test(value as string));
}

function number(lenient: boolean, test: (value: number) => boolean): ValueTest {
  return typed('number', { absent: false, otherType: lenient }, (value) => test(exact(value as number)));
}

/** The empty list is a subset by the book; here it is doubtful, since to many tools an empty filter means everything. */
function subset(allowed: ReadonlySet<unknown>, lenient: boolean): ValueTest {
  return (value) => {
    if (isNothing(value)) return false;
    if (!Array.isArray(value) || value.length === 0) return lenient;
    return lenient
      ? value.every((element) => typeof element !== 'string' || allowed.has(element))
      : value.every((element) => allowed.has(element));
  };
}

/** A double that the server may have read as another number. */
function exact(value: number): number {
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) throw new RangeError('a number beyond 2^53 cannot be compared');
  return value;
}

function bounded(value: string): string {
  if (value.length > MAX_TEXT) throw new RangeError(`a text longer than ${MAX_TEXT} cannot be matched`);
  return value;
}

function codePoints(value: string): number {
  let count = 0;
  for (const _ of value) count += 1;
  return count;
}
