import { type Token, tokenize } from "./lexer.ts";
import type { Command, Node, Operand, ParsedTemplate, Pipe } from "./nodes.ts";
import { keywords, TokenReader } from "./token-reader.ts";

/**
 * Reads a template of Go's text/template.
 * @param isFunction whether there is a function of that name
 * @param expand what becomes of text outside of actions
 * @throws {TemplateError} it is none
 */
export function parse(
  source: string,
  isFunction: (name: string) => boolean,
  expand?: (text: string) => string,
): ParsedTemplate {
  return new Parser(source, tokenize(source, expand), isFunction).parse();
}

/** How a list of nodes ended. */
type ListEnd = "end" | "else" | "end of template";

class Parser {
  readonly #source: string;
  readonly #tokens: TokenReader;
  readonly #isFunction: (name: string) => boolean;
  readonly #definitions = new Map<string, readonly Node[]>();
  /** Those in scope, the innermost last. `$` is what the template is given. */
  #variables: string[] = ["$"];
  #rangeDepth = 0;

  constructor(source: string, tokens: readonly Token[], isFunction: (name: string) => boolean) {
    this.#source = source;
    this.#tokens = new TokenReader(source, tokens);
    this.#isFunction = isFunction;
  }

  parse(): ParsedTemplate {
    const { nodes, end } = this.#list();
    if (end !== "end of template") throw this.#tokens.wrong(`unexpected {{${end}}}`);
    return { source: this.#source, nodes, definitions: this.#definitions };
  }

  /** Nodes up to `{{end}}`, `{{else …}}` (whose words are left to be read) or the end of the template. */
  #list(): { nodes: Node[]; end: ListEnd } {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#tokens.next();
      if (token.kind === "end of template") return { nodes, end: "end of template" };
      if (token.kind === "text") {
        nodes.push({ kind: "text", text: token.text });
        continue;
      }
      const first = this.#tokens.peek();
      if (first.kind === "word" && (first.text === "end" || first.text === "else")) {
        this.#tokens.next();
        if (first.text === "end") this.#close("end");
        return { nodes, end: first.text };
      }
      const node = this.#action(first);
      if (node !== undefined) nodes.push(node);
    }
  }

  #close(context: string): void {
    const token = this.#tokens.next();
    if (token.kind !== "close") throw this.#tokens.unexpected(token, context);
  }

  /** @returns undefined for a definition, which prints nothing where it stands */
  #action(first: Token): Node | undefined {
    if (first.kind === "word" && keywords.has(first.text)) {
      this.#tokens.next();
      switch (first.text) {
        case "if":
        case "with":
        case "range":
          return this.#control(first.text);
        case "template":
          return this.#templateCall(first);
        case "define":
          return this.#define();
        case "block":
          return this.#block(first);
        default:
          return this.#jump(first.text as "break" | "continue");
      }
    }
    const pipe = this.#pipe("command");
    this.#close("command");
    return { kind: "action", pipe };
  }

  #jump(kind: "break" | "continue"): Node {
    this.#close(kind);
    if (this.#rangeDepth === 0) throw this.#tokens.wrong(`{{${kind}}} outside {{range}}`);
    return { kind };
  }

  #control(kind: "if" | "with" | "range"): Node {
    const outer = [...this.#variables];
    const pipe = this.#pipe(kind);
    this.#close(kind);
    this.#rangeDepth += kind === "range" ? 1 : 0;
    const { nodes: body, end } = this.#list();
    this.#rangeDepth -= kind === "range" ? 1 : 0;
    const otherwise = end === "else" ? this.#otherwise(kind) : [];
    if (end === "end of template") throw this.#tokens.wrong("unexpected EOF");
    this.#variables = outer;
    return { kind, pipe, body, otherwise };
  }

  /** What follows `{{else`: a list, or the next condition (`{{else if …}}`), whose `{{end}}` ends both. */
  #otherwise(kind: "if" | "with" | "range"): readonly Node[] {
    const token = this.#tokens.peek();
    if (kind !== "range" && token.kind === "word" && token.text === kind) {
      this.#tokens.next();
      return [this.#control(kind)];
    }
    this.#close("else");
    const { nodes, end } = this.#list();
    if (end === "else") throw this.#tokens.wrong("expected end; found {{else}}");
    if (end === "end of template") throw this.#tokens.wrong("unexpected EOF");
    return nodes;
  }

  #templateCall(first: Token): Node {
    const place = this.#tokens.peek();
    const name = this.#templateName("template clause");
    const pipe = this.#tokens.peek().kind === "close" ? undefined : this.#pipe("template clause");
    this.#close("template clause");
    return { kind: "template", name, pipe, place: this.#templatePlace(first, place) };
  }

  /** Go tells the place of the name, and the whole action; its end was read last. */
  #templatePlace(first: Token, name: Token) {
    const start = this.#source.lastIndexOf("{{", first.position);
    return { position: name.position, text: this.#source.slice(start, this.#tokens.previous().position + 2) };
  }

  #templateName(context: string): string {
    const token = this.#tokens.next();
    if (token.kind !== "constant" || typeof token.value !== "string") throw this.#tokens.unexpected(token, context);
    return token.value;
  }

  #define(): undefined {
    const name = this.#templateName("define clause");
    this.#close("define clause");
    this.#definition(name);
  }

  #block(first: Token): Node {
    const nameToken = this.#tokens.peek();
    const name = this.#templateName("block clause");
    const pipe = this.#pipe("block clause");
    this.#close("block clause");
    const place = this.#templatePlace(first, nameToken);
    this.#definition(name);
    return { kind: "template", name, pipe, place };
  }

  #definition(name: string): void {
    const [outer, depth] = [this.#variables, this.#rangeDepth];
    [this.#variables, this.#rangeDepth] = [["$"], 0];
    const { nodes, end } = this.#list();
    if (end === "end of template") throw this.#tokens.wrong("unexpected EOF");
    if (end === "else") throw this.#tokens.wrong("unexpected {{else}}");
    [this.#variables, this.#rangeDepth] = [outer, depth];
    this.#definitions.set(name, nodes);
  }

  #pipe(context: string): Pipe {
    const { position } = this.#tokens.peek();
    const { variables, assigns } = this.#declaration(context);
    const commands: Command[] = [];
    for (;;) {
      const token = this.#tokens.peek();
      if (token.kind === "close" || (token.kind === "mark" && token.text === ")")) break;
      if (token.kind === "mark" && !"(.".includes(token.text)) throw this.#tokens.unexpected(token, context);
      commands.push(this.#command());
      if (!this.#tokens.takeMark("|")) break;
    }
    if (commands.length === 0) throw this.#tokens.wrong(`missing value for ${context}`);
    for (const [index, { operands, position: start }] of commands.entries()) {
      const [{ kind }] = operands;
      if (index > 0 && (kind === "constant" || kind === "dot" || kind === "nil")) {
        throw this.#tokens.wrong(`non executable command in pipeline stage ${index + 1}`, start);
      }
    }
    if (!assigns) this.#variables.push(...variables);
    return { kind: "pipe", variables, assigns, commands, ...this.#tokens.placeFrom(position) };
  }

  /** `$x :=`, `$x =`; for `range` also `$i, $x :=`. */
  #declaration(context: string): { variables: string[]; assigns: boolean } {
    const start = this.#tokens.index;
    const variables: string[] = [];
    for (;;) {
      const token = this.#tokens.peek();
      if (token.kind !== "variable") break;
      this.#tokens.next();
      variables.push(token.text);
      if (this.#tokens.takeMark(",")) {
        if (context === "range" && variables.length < 2) continue;
        throw this.#tokens.wrong(`too many declarations in ${context}`);
      }
      for (const mark of [":=", "="]) {
        if (!this.#tokens.takeMark(mark)) continue;
        const unknown = mark === "=" ? variables.find((name) => !this.#variables.includes(name)) : undefined;
        if (unknown !== undefined) throw this.#tokens.wrong(`undefined variable ${JSON.stringify(unknown)}`);
        return { variables, assigns: mark === "=" };
      }
      break;
    }
    // The variable was an operand.
    this.#tokens.index = start;
    return { variables: [], assigns: false };
  }

  #command(): Command {
    const { position } = this.#tokens.peek();
    const operands: Operand[] = [];
    for (;;) {
      const token = this.#tokens.peek();
      if (token.kind === "close" || (token.kind === "mark" && (token.text === ")" || token.text === "|"))) break;
      if (operands.length > 0 && !token.isApart) throw this.#tokens.unexpected(this.#tokens.next(), "operand");
      operands.push(this.#operand());
    }
    const [first, ...others] = operands;
    if (first === undefined) throw this.#tokens.wrong("empty command");
    return { operands: [first, ...others], ...this.#tokens.placeFrom(position) };
  }

  #operand(): Operand {
    const token = this.#tokens.next();
    const { position } = token;
    const term = this.#term(token);
    const fields: Token[] = [];
    while (this.#tokens.peek().kind === "field" && !this.#tokens.peek().isApart) fields.push(this.#tokens.next());
    if (fields.length === 0) return term;
    const names = fields.map(({ text }) => text.slice(1));
    // Go tells the place of a chain's second part.
    const place = { text: this.#tokens.placeFrom(position).text, position: fields[0]?.position ?? position };
    if (term.kind === "field" || term.kind === "variable") {
      return { ...term, fields: [...term.fields, ...names], ...place };
    }
    if (term.kind === "constant" || term.kind === "nil") {
      throw this.#tokens.wrong(`unexpected . after term ${JSON.stringify(token.text)}`);
    }
    return { kind: "chain", of: term, fields: names, ...place };
  }

  #term(token: Token): Operand {
    const { text, position } = token;
    if (token.kind === "word") return this.#word(token);
    if (token.kind === "field") return { kind: "field", fields: [text.slice(1)], position, text };
    if (token.kind === "constant") return { kind: "constant", value: token.value ?? "", position, text };
    if (token.kind === "variable") {
      if (!this.#variables.includes(text)) throw this.#tokens.wrong(`undefined variable ${JSON.stringify(text)}`);
      return { kind: "variable", name: text, fields: [], position, text };
    }
    if (token.kind === "mark" && text === ".") return { kind: "dot", position, text };
    if (token.kind !== "mark" || text !== "(") throw this.#tokens.unexpected(token, "operand");
    const pipe = this.#pipe("parenthesized pipeline");
    if (!this.#tokens.takeMark(")")) throw this.#tokens.wrong("unclosed left paren");
    return { ...pipe, ...this.#tokens.placeFrom(position) };
  }

  #word(token: Token): Operand {
    const { text, position } = token;
    if (text === "nil") return { kind: "nil", position, text };
    if (text === "true" || text === "false") return { kind: "constant", value: text === "true", position, text };
    if (keywords.has(text)) throw this.#tokens.unexpected(token, "operand");
    if (!this.#isFunction(text)) throw this.#tokens.wrong(`function ${JSON.stringify(text)} not defined`, position);
    return { kind: "function", name: text, position, text };
  }
}
