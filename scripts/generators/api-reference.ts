import { API_VERSION } from '../../api/group.ts';
import { KINDS } from '../../api/kinds.ts';
import { type Kind, objectSchema } from '../../api/schema/crd.ts';
import type { Schema } from '../../api/schema/structural.ts';
import type { Artifact } from './artifact.ts';
import { conditionReference } from './condition-reference.ts';
import { GENERATED } from './yaml.ts';

/** The reference of all kinds: a table per object, in the order of the schema. */
export function apiReference(): readonly Artifact[] {
  const content = [
    `<!-- ${GENERATED} -->`,
    `# API reference: \`${API_VERSION}\``,
    INTRODUCTION,
    KINDS.map((kind) => `- [${kind.kind}](#${anchor(kind.kind)}): ${kind.description}`).join('\n'),
    ...KINDS.flatMap(reference),
  ].join('\n\n');
  return [{ path: 'docs/api.md', content: `${content}\n` }];
}

const INTRODUCTION = `Every field with its type, the default that the API server fills in, and what the API server checks. A description says what happens
when the field is absent, also where the operator decides that and not the API server. Fields in **bold** are required. \`kubectl explain\` has the same texts.

Durations are written as in Go (\`30s\`, \`5m\`, \`1h30m\`), quantities as everywhere in Kubernetes (\`50m\`, \`64Mi\`). Unknown fields are an error with
\`kubectl\`. Fields are added to this version, never renamed or given another meaning; reasons of conditions are part of the API.`;

interface Section {
  readonly title: string;
  readonly schema: Schema;
}

function reference(kind: Kind): string[] {
  const schema = objectSchema(kind);
  const { spec = {}, status = {} } = schema.properties ?? {};
  return [
    `## ${kind.kind}`,
    kind.description,
    facts(kind),
    ...rulesOf(schema),
    ...sections([
      { title: `${kind.kind}.spec`, schema: spec },
      { title: `${kind.kind}.status`, schema: status },
    ]),
    ...conditionReference(kind),
  ];
}

function facts({ plural, shortNames, scale, columns }: Kind): string {
  const names = (wide: 0 | 1) =>
    columns
      .filter(({ priority = 0 }) => priority === wide)
      .map(({ name }) => name.toUpperCase())
      .join(', ');
  return [
    `- Names for \`kubectl\`: ${[plural, ...shortNames].map(code).join(', ')}; category \`mcp\`; namespaced.`,
    `- Columns: ${names(0)}; with \`-o wide\` also ${names(1)}.`,
    `- Subresources: \`status\`${scale === undefined ? '' : ', `scale` (`kubectl scale`, HorizontalPodAutoscaler, KEDA)'}.`,
  ].join('\n');
}

/** Sections of these objects and of all objects below them, each shape once. */
function sections(roots: readonly Section[]): string[] {
  const titles = new Map<string, string>();
  const found: Section[] = [];
  const visit = (section: Section) => {
    const shape = shapeOf(section.schema);
    if (titles.has(shape)) return;
    titles.set(shape, section.title);
    found.push(section);
    for (const [name, property] of propertiesOf(section.schema)) {
      const nested = objectIn(property);
      if (nested !== undefined) visit({ title: `${section.title}.${name}${suffix(property)}`, schema: nested });
    }
  };
  roots.forEach(visit);
  return found.flatMap(({ title, schema }) => [`### ${title}`, ...rulesOf(schema), table(schema, titles)]);
}

/** What makes two objects the same section: everything but the words about the place where they are used. */
function shapeOf({ description: _description, default: _default, ...schema }: Schema): string {
  return JSON.stringify(schema);
}

const propertiesOf = (schema: Schema): [string, Schema][] => Object.entries(schema.properties ?? {});

/** The object with named fields that a field holds, directly, in a list or in a map. */
function objectIn(schema: Schema): Schema | undefined {
  if (schema.properties !== undefined) return schema;
  const inner = schema.items ?? valuesOf(schema);
  return inner === undefined ? undefined : objectIn(inner);
}

/** What a map holds. */
const valuesOf = ({ additionalProperties: values }: Schema): Schema | undefined => (typeof values === 'object' ? values : undefined);

const suffix = (schema: Schema): string => (schema.items !== undefined ? '[]' : valuesOf(schema) !== undefined ? '{}' : '');

function table(schema: Schema, titles: ReadonlyMap<string, string>): string {
  const required = new Set(schema.required);
  const rows = propertiesOf(schema).map(([name, property]) =>
    [
      required.has(name) ? `**\`${name}\`**` : `\`${name}\``,
      typeOf(property, titles),
      defaultOf(property),
      property.description ?? '',
      validation(property).join('; '),
    ]
      .map(cell)
      .join(' | '),
  );
  return ['| Field | Type | Default | Description | Checked |', '| --- | --- | --- | --- | --- |', ...rows.map((row) => `| ${row} |`)].join(
    '\n',
  );
}

function typeOf(schema: Schema, titles: ReadonlyMap<string, string>): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'integer or string';
  if (schema.items !== undefined) return `list of ${typeOf(schema.items, titles)}`;
  const values = valuesOf(schema);
  if (values !== undefined) return `map of ${typeOf(values, titles)}`;
  const title = schema.properties === undefined ? undefined : titles.get(shapeOf(schema));
  if (title !== undefined) return `[object](#${anchor(title)})`;
  return schema.format === 'date-time' ? 'time' : (schema.type ?? 'anything');
}

/** The default of an object with named fields only repeats what the fields say. */
function defaultOf({ default: value, properties }: Schema): string {
  return value === undefined || properties !== undefined ? '' : code(typeof value === 'string' ? value : JSON.stringify(value));
}

/** What the API server checks of a field, in words. Rules of objects stand in their own section. */
function validation(schema: Schema): string[] {
  const { items } = schema;
  const words = [
    schema.enum !== undefined && `one of ${schema.enum.map((value) => code(String(value))).join(', ')}`,
    schema.type === 'integer' && range(bounded(schema.minimum), bounded(schema.maximum), ''),
    range(schema.minLength, schema.maxLength, ' characters'),
    range(schema.minItems, schema.maxItems, ' entries'),
    range(schema.minProperties, schema.maxProperties, ' entries'),
    schema.patternErrorMessage ?? (schema.pattern !== undefined && `matches ${code(schema.pattern)}`),
    schema['x-kubernetes-list-type'] === 'map' && `one entry per ${(schema['x-kubernetes-list-map-keys'] ?? []).map(code).join(' and ')}`,
    schema['x-kubernetes-list-type'] === 'set' && 'no entry twice',
    ...(schema.properties === undefined ? messages(schema) : []),
  ].filter((word) => typeof word === 'string');
  return items === undefined || items.properties !== undefined ? words : [...words, ...validation(items).map((word) => `each ${word}`)];
}

/** The bounds of int32 and of JavaScript's integers say nothing to a reader. */
const bounded = (value: number | undefined): number | undefined =>
  value !== undefined && Math.abs(value) >= 2 ** 31 - 1 ? undefined : value;

function range(minimum: number | undefined, maximum: number | undefined, unit: string): string | undefined {
  if (minimum === undefined) return maximum === undefined ? undefined : `at most ${maximum}${unit}`;
  return maximum === undefined ? `at least ${minimum}${unit}` : `${minimum} to ${maximum}${unit}`;
}

const messages = (schema: Schema): string[] =>
  (schema['x-kubernetes-validations'] ?? []).map(({ message, rule, fieldPath }) => {
    return `${fieldPath === undefined ? '' : `${code(fieldPath.slice(1))}: `}${message ?? rule}`;
  });

function rulesOf(schema: Schema): string[] {
  const list = messages(schema);
  return list.length === 0 ? [] : [`Checked:\n\n${list.map((message) => `- ${message}`).join('\n')}`];
}

const code = (text: string): string => `\`${text}\``;

/** Bars and line ends would break the table, also inside code. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The anchor of a heading, by the rules of GitHub. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^-_ a-z0-9]/g, '')
    .replaceAll(' ', '-');
