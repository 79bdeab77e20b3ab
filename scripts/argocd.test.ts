import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from './sources.ts';

/** The part of fengari that runs a script; it comes without types. */
interface Fengari {
  readonly lua: {
    lua_tojsstring(state: object, index: number): string;
    lua_getfield(state: object, index: number, name: Uint8Array): number;
  };
  readonly lauxlib: { luaL_newstate(): object; luaL_dostring(state: object, source: Uint8Array): number };
  readonly lualib: { luaL_openlibs(state: object): void };
  to_luastring(this: void, text: string): Uint8Array;
}

interface HealthTests {
  readonly tests: readonly { readonly healthStatus: { readonly status: string; readonly message: string }; readonly inputPath: string }[];
}

const { lua, lauxlib, lualib, to_luastring: bytes } = createRequire(import.meta.url)('fengari') as Fengari;
const FOLDER = join(ROOT, 'config/argocd');
const script = readFileSync(join(FOLDER, 'health.lua'), 'utf8');
const { tests } = parse(readFileSync(join(FOLDER, 'health_test.yaml'), 'utf8')) as HealthTests;

/** As a Lua expression. The texts of the test data are ASCII, for which Lua and JSON escape alike. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(literal).join(', ')}}`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `[${JSON.stringify(key)}] = ${literal(member)}`)
    .join(', ')}}`;
}

function health(object: unknown): { readonly status: string; readonly message: string } {
  const state = lauxlib.luaL_newstate();
  lualib.luaL_openlibs(state);
  const failed = lauxlib.luaL_dostring(state, bytes(`obj = ${literal(object)}\n${script}`));
  if (failed !== 0) throw new Error(lua.lua_tojsstring(state, -1));
  const field = (name: string): string => {
    lua.lua_getfield(state, 1, bytes(name));
    return lua.lua_tojsstring(state, -1);
  };
  return { status: field('status'), message: field('message') };
}

test.each(tests)('Argo CD says of $inputPath: $healthStatus.status', ({ inputPath, healthStatus }) => {
  expect(health(parse(readFileSync(join(FOLDER, inputPath), 'utf8')))).toEqual(healthStatus);
});

test('every object of the test data is judged', () => {
  expect(tests.map(({ inputPath }) => inputPath.replace('testdata/', '')).toSorted()).toEqual(
    readdirSync(join(FOLDER, 'testdata')).toSorted(),
  );
});
