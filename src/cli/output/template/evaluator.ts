import { misused, type Place, type TemplateError } from "./errors.ts";
import type { Parameter, TemplateFunction } from "./functions.ts";
import type { Command, Node, Operand, ParsedTemplate, Pipe } from "./nodes.ts";
import { isList, isMap, isStructure, isTrue, printed, sortedEntries, typeName } from "./values.ts";

export interface EvaluationOptions {
  readonly functions: ReadonlyMap<string, TemplateFunction>;
  /** To look up what a map does not have is a mistake. */
  readonly isStrict: boolean;
  /** Further names of structures' fields, and what they stand for. */
  readonly fieldNames?: ReadonlyMap<string, string>;
}

/**
 * What a template prints for a value. Go's text/template, "Actions", "Arguments", "Pipelines", "Variables"
 * @throws {TemplateError} it asks for something that the value does not have
 */
export function evaluate(template: ParsedTemplate, value: unknown, options: EvaluationOptions): string {
  return new Evaluator(template, options).run(value);
}

/** Templates within templates may call themselves: how deep. */
const deepest = 1000;

/** How a list of nodes ended before its end: a loop goes on with its next turn, or not at all. */
type Jump = "break" | "continue";

interface Variable {
  readonly name: string;
  value: unknown;
}

class Evaluator {
  readonly #template: ParsedTemplate;
  readonly #options: EvaluationOptions;
  /** Of the template within the template that is being evaluated. */
  #name = "";
  #depth = 0;
  #variables: Variable[] = [];
  #text = "";

  constructor(template: ParsedTemplate, options: EvaluationOptions) {
    this.#template = template;
    this.#options = options;
  }

  run(value: unknown): string {
    this.#variables = [{ name: "$", value }];
    this.#nodes(this.#template.nodes, value);
    return this.#text;
  }

  #wrong(place: Place, reason: string, hint?: string): TemplateError {
    return misused(this.#template.source, this.#name, place, reason, hint);
  }

  #nodes(nodes: readonly Node[], dot: unknown): Jump | undefined {
    for (const node of nodes) {
      const jump = this.#node(node, dot);
      if (jump !== undefined) return jump;
    }
    return undefined;
  }

  #node(node: Node, dot: unknown): Jump | undefined {
    switch (node.kind) {
      case "text":
        this.#text += node.text;
        return undefined;
      case "action": {
        const value = this.#pipe(node.pipe, dot);
        if (node.pipe.variables.length === 0) this.#text += printed(value);
        return undefined;
      }
      case "if":
      case "with":
        return this.#condition(node, dot);
      case "range":
        return this.#range(node, dot);
      case "template":
        this.#call(node, dot);
        return undefined;
      default:
        return node.kind;
    }
  }

  #condition(node: Branch, dot: unknown): Jump | undefined {
    const depth = this.#variables.length;
    const value = this.#pipe(node.pipe, dot);
    const inner = node.kind === "with" ? value : dot;
    const jump = isTrue(value) ? this.#nodes(node.body, inner) : this.#nodes(node.otherwise, dot);
    this.#variables.length = depth;
    return jump;
  }

  #call(node: Node & { kind: "template" }, dot: unknown): void {
    const nodes = this.#template.definitions.get(node.name);
    if (nodes === undefined) throw this.#wrong(node.place, `template ${JSON.stringify(node.name)} not defined`);
    if (this.#depth >= deepest) throw this.#wrong(node.place, `exceeded maximum template depth (${deepest})`);
    const value = node.pipe === undefined ? undefined : this.#pipe(node.pipe, dot);
    const [name, variables] = [this.#name, this.#variables];
    [this.#name, this.#variables] = [node.name, [{ name: "$", value }]];
    this.#depth += 1;
    this.#nodes(nodes, value);
    this.#depth -= 1;
    [this.#name, this.#variables] = [name, variables];
  }

  #range(node: Branch, dot: unknown): Jump | undefined {
    const depth = this.#variables.length;
    const value = this.#pipe({ ...node.pipe, variables: [] }, dot);
    const turns = this.#turns(value, node.pipe);
    if (turns.length === 0) return this.#nodes(node.otherwise, dot);
    for (const [key, item] of turns) {
      this.#setLoopVariables(node.pipe, key, item);
      const jump = this.#nodes(node.body, item);
      this.#variables.length = depth;
      if (jump === "break") break;
    }
    return undefined;
  }

  #turns(value: unknown, place: Place): readonly (readonly [key: unknown, item: unknown])[] {
    if (isList(value)) return value.map((item, index) => [index, item]);
    if (isMap(value)) return sortedEntries(value);
    if (typeof value === "number" && Number.isInteger(value)) {
      return Array.from({ length: Math.max(0, value) }, (_, index) => [index, index]);
    }
    if (value === undefined) return [];
    throw this.#wrong(place, `range can't iterate over ${printed(value)}`);
  }

  /** One variable takes the item, two take key and item. */
  #setLoopVariables({ variables, assigns }: Pipe, key: unknown, item: unknown): void {
    const values = variables.length === 1 ? [item] : [key, item];
    for (const [index, name] of variables.entries()) this.#set(name, values[index], assigns);
  }

  #set(name: string, value: unknown, assigns: boolean): void {
    const known = assigns ? this.#variables.findLast((variable) => variable.name === name) : undefined;
    if (known === undefined) this.#variables.push({ name, value });
    else known.value = value;
  }

  #pipe(pipe: Pipe, dot: unknown): unknown {
    let value: unknown;
    for (const [index, command] of pipe.commands.entries()) {
      value = this.#command(command, dot, index === 0 ? [] : [value]);
    }
    for (const name of pipe.variables) this.#set(name, value, pipe.assigns);
    return value;
  }

  /** @param piped what the command before has given, as the last argument */
  #command(command: Command, dot: unknown, piped: readonly unknown[]): unknown {
    const [first, ...rest] = command.operands;
    if (first.kind === "function") return this.#function(first, command, rest, dot, piped);
    const mayBeMethod = first.kind === "field" || first.kind === "chain" || first.kind === "variable";
    if (mayBeMethod && (first.kind !== "variable" || first.fields.length > 0)) {
      return this.#operand(first, dot, { operands: rest, piped, dot });
    }
    if (rest.length > 0 || piped.length > 0) {
      throw this.#wrong(first, `can't give argument to non-function ${first.text}`);
    }
    if (first.kind === "nil") throw this.#wrong(first, "nil is not a command");
    return this.#operand(first, dot);
  }

  #operand(operand: Operand, dot: unknown, call?: MethodCall): unknown {
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return undefined;
      case "constant":
        return operand.value;
      case "pipe":
        return this.#pipe(operand, dot);
      case "field":
        return this.#fields(operand, dot, operand.fields, call);
      case "chain":
        return this.#fields(operand, this.#operand(operand.of, dot), operand.fields, call);
      case "variable": {
        const variable = this.#variables.findLast(({ name }) => name === operand.name);
        return this.#fields(operand, variable?.value, operand.fields, call);
      }
      default:
        return this.#function(operand, { ...operand, operands: [operand] }, [], dot, []);
    }
  }

  /** `.A.B` of a value; what stands behind it are arguments of the last one. */
  #fields(place: Place, value: unknown, names: readonly string[], call: MethodCall | undefined): unknown {
    let current = value;
    for (const [index, name] of names.entries()) {
      current = this.#field(place, current, name, index === names.length - 1 ? call : undefined);
    }
    return current;
  }

  #field(place: Place, value: unknown, name: string, call: MethodCall | undefined): unknown {
    const found = this.#lookUp(place, value, name);
    const given =
      call === undefined ? [] : [...call.operands.map((one) => this.#operand(one, call.dot)), ...call.piped];
    if (typeof found !== "function") {
      if (given.length === 0) return found;
      throw this.#wrong(place, `${name} is not a method but has arguments`);
    }
    if (given.length !== found.length) {
      throw this.#wrong(place, `wrong number of args for ${name}: want ${found.length} got ${given.length}`);
    }
    return (found as (...values: unknown[]) => unknown)(...given);
  }

  #lookUp(place: Place, value: unknown, name: string): unknown {
    if (isMap(value)) {
      if (value.has(name)) return value.get(name);
      if (!this.#options.isStrict) return undefined;
      throw this.#wrong(place, `map has no entry for key ${JSON.stringify(name)}`, hintOf([...value.keys()]));
    }
    if (isStructure(value)) {
      if (Object.hasOwn(value, name)) return value[name];
      const known = this.#options.fieldNames?.get(name);
      if (known !== undefined && Object.hasOwn(value, known)) return value[known];
      throw this.#wrong(place, `can't evaluate field ${name} in type structure`, hintOf(Object.keys(value)));
    }
    if (value === null) throw this.#wrong(place, `nil pointer evaluating structure.${name}`);
    if (value !== undefined) {
      const type = this.#options.isStrict ? "interface {}" : typeName(value);
      throw this.#wrong(place, `can't evaluate field ${name} in type ${type}`);
    }
    if (!this.#options.isStrict) return undefined;
    throw this.#wrong(place, `nil data; no entry for key ${JSON.stringify(name)}`);
  }

  #function(
    operand: Operand & { kind: "function" },
    command: Command,
    rest: readonly Operand[],
    dot: unknown,
    piped: readonly unknown[],
  ): unknown {
    const { name } = operand;
    const called = this.#options.functions.get(name) as TemplateFunction;
    const { parameters, isVariadic = false } = called;
    const number = rest.length + piped.length;
    if (number < parameters.length || (number > parameters.length && !isVariadic)) {
      const wanted = `${isVariadic ? "at least " : ""}${parameters.length}`;
      throw this.#wrong(operand, `wrong number of args for ${name}: want ${wanted} got ${number}`);
    }
    if (name === "and" || name === "or") return this.#decide(name, rest, dot, piped);
    const values = rest.map((argument, index) => {
      const value = this.#operand(argument, dot);
      return this.#checked(argument, value, parameters[index]);
    });
    values.push(...piped.map((value, index) => this.#checked(command, value, parameters[rest.length + index])));
    try {
      return called.call(...values);
    } catch (error) {
      throw this.#wrong(command, `error calling ${name}: ${(error as Error).message}`);
    }
  }

  /** The first argument that decides; those behind it are not looked at. */
  #decide(name: "and" | "or", rest: readonly Operand[], dot: unknown, piped: readonly unknown[]): unknown {
    let value: unknown;
    for (const argument of rest) {
      value = this.#operand(argument, dot);
      if (isTrue(value) === (name === "or")) return value;
    }
    return piped.length > 0 ? piped[0] : value;
  }

  #checked(place: Place & { readonly kind?: string }, value: unknown, parameter: Parameter | undefined): unknown {
    if (parameter === undefined || parameter === "any" || fits(value, parameter)) return value;
    const wanted = parameter === "strings" ? "[]string" : parameter;
    if (value === undefined || value === null) throw this.#wrong(place, `invalid value; expected ${wanted}`);
    if (place.kind === "constant") throw this.#wrong(place, `expected ${wanted}; found ${place.text}`);
    throw this.#wrong(place, `wrong type for value; expected ${wanted}; got ${typeName(value)}`);
  }
}

type Branch = Node & { readonly kind: "if" | "with" | "range" };

/** The arguments of a method. */
interface MethodCall {
  readonly operands: readonly Operand[];
  readonly piped: readonly unknown[];
  readonly dot: unknown;
}

function fits(value: unknown, parameter: Parameter): boolean {
  if (parameter === "strings") return isList(value) && value.every((one) => typeof one === "string");
  return parameter === "int" ? Number.isInteger(value) : typeof value === "string";
}

function hintOf(names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : `there are ${names.join(", ")}`;
}
