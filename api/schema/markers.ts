/** One rule of the Common Expression Language, checked by the API server at admission. */
export interface Rule {
  readonly rule: string;
  readonly message?: string;
  /** CEL that makes the message, where it should quote a value. */
  readonly messageExpression?: string;
  /** Where the error is reported, relative to the object of the rule; default: the object itself. */
  readonly fieldPath?: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';
}

/** CEL rules of a type. The message says what is wrong and what to do; the API server adds the field's path. */
export const rules = (...list: readonly Rule[]) => ({ 'x-kubernetes-validations': list });

/** A list whose items the API server tells apart by these fields, so that several writers can each own theirs. */
export const listMap = (...keys: readonly string[]) => ({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys });

/** A list of scalars without order and without doubles. */
export const listSet = { 'x-kubernetes-list-type': 'set' } as const;

/** A map that has one writer. Lists are so unless they say otherwise. */
export const mapAtomic = { 'x-kubernetes-map-type': 'atomic' } as const;

/** `z.union([z.int(), z.string()])` becomes the only union that a structural schema knows. */
export const intOrString = { 'x-kubernetes-int-or-string': true } as const;

/**
 * Says what a pattern asks for. In the CRD the pattern becomes a CEL rule with this message, since the API server would otherwise
 * quote the regular expression alone; in the schema for editors it stays a pattern, and editors show this text.
 */
export const saying = (patternErrorMessage: string) => ({ patternErrorMessage });
