import { readFile } from 'node:fs/promises';
import { isObject, MessageError, parseJson, type Json, type JsonObject } from '../mcp/jsonrpc.ts';
import { CommandError, ExitCode } from './exit.ts';

/** Nesting of arguments given as JSON. */
const depth = 64;

/** One `key=value` or `key:=json` of the command line. */
export interface Assignment {
  readonly key: string;
  readonly value: string;
  /** The value is JSON (`:=`) and not to be interpreted further. */
  readonly json: boolean;
}

/** Throws `CommandError` `Usage`. */
export function assignment(text: string): Assignment {
  const match = /^([^=]+?)(:?=)(.*)$/s.exec(text);
  if (match === null) throw new CommandError(ExitCode.Usage, `"${text}" is no argument: write key=value, or key:=json for JSON`);
  const [, key = '', operator, value = ''] = match;
  return { key, value, json: operator === ':=' };
}

/**
 * Arguments as the tool's schema wants them: a plain `key=value` becomes a number, a boolean, null or JSON where the schema allows no string there, and
 * stays a string otherwise. Throws `CommandError` `Usage`.
 */
export function toolArguments(assignments: readonly Assignment[], inputSchema: Json | undefined): JsonObject {
  const properties = isObject(inputSchema) && isObject(inputSchema['properties']) ? inputSchema['properties'] : {};
  const args: Record<string, Json> = {};
  for (const { key, value, json } of assignments) {
    if (Object.hasOwn(args, key)) throw new CommandError(ExitCode.Usage, `argument ${key} is given twice`);
    const schema = Object.hasOwn(properties, key) ? properties[key] : undefined;
    const text = json || !allowsString(schema);
    Object.defineProperty(args, key, { value: text ? jsonValue(key, value) : value, enumerable: true });
  }
  return args;
}

function allowsString(schema: Json | undefined): boolean {
  if (!isObject(schema)) return true;
  if (Array.isArray(schema['enum'])) return schema['enum'].some((entry) => typeof entry === 'string');
  if (typeof schema['type'] === 'string') return schema['type'] === 'string';
  if (Array.isArray(schema['type'])) return schema['type'].includes('string');
  const alternatives = [schema['anyOf'], schema['oneOf']].find(Array.isArray) as readonly Json[] | undefined;
  return alternatives === undefined || alternatives.some(allowsString);
}

function jsonValue(key: string, text: string): Json {
  try {
    return parseJson(text, depth);
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    throw new CommandError(ExitCode.Usage, `argument ${key}: "${text}" must be JSON here (a number, true, false, null, [ ] or { })`);
  }
}

/** What an option says, or the file that it names with `@`. Rejects with `CommandError` `Usage`. */
export async function textOrFile(option: string, text: string): Promise<string> {
  if (!text.startsWith('@')) return text;
  try {
    return await readFile(text.slice(1), 'utf8');
  } catch (error) {
    throw new CommandError(ExitCode.Usage, `${option}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** A JSON object in an option. Throws `CommandError` `Usage`. */
export function jsonArguments(option: string, text: string): JsonObject {
  let value: Json;
  try {
    value = parseJson(text, depth);
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    throw new CommandError(ExitCode.Usage, `${option}: ${error.message}`);
  }
  if (!isObject(value)) throw new CommandError(ExitCode.Usage, `${option}: the arguments of a tool are a JSON object`);
  return value;
}
