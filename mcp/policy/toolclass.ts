import { compileTest, type CompiledTest } from './argument.ts';
import { type Hints, type ToolClass, toolClass } from '../inventory.ts';
import type { ClassOverride, Pins, Trust } from './bundle.ts';
import type { ClassSource, PinState } from './decision.ts';
import { GlobIndex } from './glob.ts';
import { danger, lessDangerous, moreDangerous } from './merge.ts';

/** What the inventory says of one tool; a `Tool` of `mcp/inventory.ts` is one. */
export interface ToolFacts {
  readonly hints: Hints;
  /** `sha256:<hex>` over its definition. */
  readonly digest: string;
  /** The server lists the name more than once: nobody can say which definition would run, so nothing of it is trusted. */
  readonly ambiguous?: boolean;
}

/** The class of one tool in one tier, as far as it can be told without the arguments. */
export interface ToolClassing {
  readonly source: ClassSource;
  /** The least dangerous class that some arguments could have. */
  readonly least: ToolClass;
  /** The most dangerous one that some could have. */
  readonly most: ToolClass;
  /** Absent where the arguments do not matter. */
  readonly byArguments?: (args: unknown) => ToolClass;
}

export function pinState(pins: ReadonlyMap<string, ReadonlySet<string>> | undefined, name: string, facts: ToolFacts): PinState {
  if (pins === undefined) return 'missing';
  const digests = pins.get(name);
  if (digests === undefined) return 'unpinned';
  return digests.has(facts.digest) && facts.ambiguous !== true ? 'match' : 'changed';
}

export function pinSets(pins: Pins | undefined): ReadonlyMap<string, ReadonlySet<string>> | undefined {
  return pins && new Map(Object.entries(pins.tools).map(([name, digests]) => [name, new Set(digests)]));
}

interface CompiledOverride {
  readonly class: ToolClass;
  readonly exceptions: readonly { readonly class: ToolClass; readonly holds: CompiledTest }[];
}

/** The classes of tools in one tier: overrides, then hints as far as they are trusted, then the specification's defaults. */
export class ToolClasses {
  readonly #trust: Trust;
  readonly #overrides: readonly CompiledOverride[];
  readonly #index = new GlobIndex('name');

  constructor(trust: Trust, overrides: readonly ClassOverride[]) {
    this.#trust = trust;
    this.#overrides = overrides.map(compileOverride);
    overrides.forEach((override, number) => {
      for (const glob of override.tools) this.#index.add(glob, number);
    });
  }

  classing(name: string, facts: ToolFacts, pin: PinState): ToolClassing {
    const overrides = this.#index.match(name).flatMap((number) => this.#overrides[number] ?? []);
    if (overrides.length > 0) return overridden(overrides);
    const trusted = facts.ambiguous !== true && (this.#trust === 'Always' || (this.#trust === 'Pinned' && pin === 'match'));
    // A hint that is not trusted could only raise danger, and there is nothing above the default.
    const declared = facts.hints.readOnly ?? facts.hints.destructive;
    if (!trusted || declared === undefined) return { source: 'default', least: 'Destructive', most: 'Destructive' };
    const declaredClass = toolClass(facts.hints);
    return { source: 'hint', least: declaredClass, most: declaredClass };
  }
}

/** A test that lowers the class must hold for sure; one that raises it counts in doubt. */
function compileOverride(override: ClassOverride): CompiledOverride {
  return {
    class: override.class,
    exceptions: override.unless.map((exception) => ({
      class: exception.class,
      holds: compileTest(exception, danger(exception.class) < danger(override.class) ? 'fails' : 'passes'),
    })),
  };
}

/** Of several overrides the most dangerous class holds. */
function overridden(overrides: readonly CompiledOverride[]): ToolClassing {
  const extreme = (choose: typeof lessDangerous): ToolClass =>
    overrides
      .map((override) => override.exceptions.map((exception) => exception.class).reduce(choose, override.class))
      .reduce(moreDangerous);
  const range = { least: extreme(lessDangerous), most: extreme(moreDangerous) };
  if (overrides.every((override) => override.exceptions.length === 0)) return { source: 'override', ...range };
  return {
    source: 'override',
    ...range,
    byArguments: (args) => overrides.map((override) => classFor(override, args)).reduce(moreDangerous),
  };
}

/** Of several exceptions that hold, the most dangerous. */
function classFor(override: CompiledOverride, args: unknown): ToolClass {
  const holding = override.exceptions.filter((exception) => exception.holds(args)).map((exception) => exception.class);
  return holding.length === 0 ? override.class : holding.reduce(moreDangerous);
}
