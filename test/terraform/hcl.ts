import { createRequire } from 'node:module'
import { Language, type Node, Parser } from 'web-tree-sitter'

/** What stands in a .tf file, as plain data: all that the checks ask for, and nothing of the grammar's details. */
export interface Body {
  readonly attributes: readonly Attribute[]
  readonly blocks: readonly Block[]
}

export interface Attribute {
  readonly name: string
  readonly value: Expression
  readonly line: number
}

export interface Block extends Body {
  readonly type: string
  readonly labels: readonly string[]
  readonly line: number
}

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'template'; readonly parts: readonly Expression[] }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'object'; readonly entries: readonly Entry[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  /** `aws_x.y[each.key].arn`: steps are names, and for what is in brackets its expression. */
  | { readonly kind: 'reference'; readonly steps: readonly Step[] }
  /** Everything else, with what is in it. `names` are those that a `for` gives to its elements. */
  | {
      readonly kind: 'other'
      readonly type: string
      readonly parts: readonly Expression[]
      readonly names: readonly string[]
    }

/** A name, `*`, or what is in brackets. */
export type Step = string | { readonly index: Expression }
export const splat = '*'

export interface Entry {
  readonly key: Expression
  readonly value: Expression
}

const require = createRequire(import.meta.url)

/** Reads HCL with the grammar of tree-sitter: Terraform's own parser is Go, and its build for JavaScript takes 0.1 s a file. */
export async function openParser(): Promise<(text: string, path: string) => Body> {
  await Parser.init()
  const folder = require.resolve('@tree-sitter-grammars/tree-sitter-hcl/package.json')
  const language = await Language.load(folder.replace('package.json', 'tree-sitter-terraform.wasm'))
  const parser = new Parser()
  parser.setLanguage(language)
  return (text, path) => {
    const root = parser.parse(text)?.rootNode
    if (root === undefined || root.hasError) throw new Error(`${path} is not HCL`)
    return bodyOf(childOf(root, 'body'))
  }
}

function bodyOf(node: Node | undefined): Body {
  const children = node === undefined ? [] : named(node)
  return {
    attributes: children.filter(({ type }) => type === 'attribute').map(attributeOf),
    blocks: children.filter(({ type }) => type === 'block').map(blockOf),
  }
}

function attributeOf(node: Node): Attribute {
  const [name, value] = named(node)
  if (name === undefined || value === undefined) throw new Error(`not an argument: ${node.text}`)
  return { name: name.text, value: expressionOf(value), line: node.startPosition.row + 1 }
}

function blockOf(node: Node): Block {
  const [type, ...rest] = named(node)
  const labels = rest.filter((one) => one.type === 'string_lit').map((one) => stringOf(one))
  const line = node.startPosition.row + 1
  return { type: type?.text ?? '', labels, line, ...bodyOf(rest.find((one) => one.type === 'body')) }
}

function named(node: Node): readonly Node[] {
  return node.namedChildren.filter((child) => child.type !== 'comment')
}

function childOf(node: Node, type: string): Node | undefined {
  return named(node).find((child) => child.type === type)
}

function expressionOf(node: Node): Expression {
  switch (node.type) {
    case 'expression':
      return chainOf(named(node))
    case 'literal_value':
      return literalOf(named(node)[0] ?? node)
    case 'string_lit':
      return { kind: 'literal', value: stringOf(node) }
    case 'template_expr':
    case 'quoted_template':
    case 'heredoc_template':
      return templateOf(node)
    case 'collection_value':
      return expressionOf(named(node)[0] ?? node)
    case 'tuple':
      return { kind: 'list', items: expressionsIn(node) }
    case 'object':
      return { kind: 'object', entries: named(node).filter(isElement).map(entryOf) }
    case 'variable_expr':
      return { kind: 'reference', steps: [node.text] }
    case 'function_call': {
      const args = childOf(node, 'function_arguments')
      return {
        kind: 'call',
        name: named(node)[0]?.text ?? '',
        args: args === undefined ? [] : expressionsIn(args),
      }
    }
    default:
      return otherOf(node)
  }
}

/** A base and what comes behind it: `.name`, `[index]`, `[*]`. */
function chainOf(nodes: readonly Node[]): Expression {
  const [base, ...rest] = nodes
  if (base === undefined) throw new Error('an empty expression')
  return continued(expressionOf(base), rest)
}

function continued(base: Expression, rest: readonly Node[]): Expression {
  if (rest.length === 0) return base
  const steps = rest.flatMap(stepsOf)
  if (base.kind === 'reference') return { kind: 'reference', steps: [...base.steps, ...steps] }
  const inside = steps.flatMap((step) => (typeof step === 'object' ? [step.index] : []))
  return { kind: 'other', type: 'access', parts: [base, ...inside], names: [] }
}

function stepsOf(node: Node): readonly Step[] {
  if (node.type === 'get_attr') return [named(node)[0]?.text ?? '']
  if (node.type === 'splat') return [splat, ...named(node).flatMap(named).flatMap(stepsOf)]
  const inside = named(node).flatMap(named)
  const [index] = inside
  if (node.type !== 'index' || index === undefined) throw new Error(`unknown access: ${node.text}`)
  return [{ index: expressionOf(index) }]
}

function otherOf(node: Node): Expression {
  const intro = node.type.startsWith('for_') ? childOf(node, 'for_intro') : undefined
  const names =
    intro === undefined
      ? []
      : named(intro)
          .filter(({ type }) => type === 'identifier')
          .map(({ text }) => text)
  return { kind: 'other', type: node.type, parts: partsOf(node), names }
}

/** The operands of an operation follow each other without an `expression` round each, each with its own accesses. */
function partsOf(node: Node): readonly Expression[] {
  const parts: Expression[] = []
  for (const child of named(node)) {
    const last = parts.at(-1)
    if (['get_attr', 'index', 'splat'].includes(child.type) && last !== undefined)
      parts[parts.length - 1] = continued(last, [child])
    else if (child.type !== 'identifier' && !isMark(child)) parts.push(expressionOf(child))
  }
  return parts
}

function isMark({ type }: Node): boolean {
  return /(?:_start|_end|^ellipsis)$/.test(type)
}

function isElement({ type }: Node): boolean {
  return type === 'object_elem'
}

function expressionsIn(node: Node): readonly Expression[] {
  return named(node)
    .filter(({ type }) => type === 'expression')
    .map(expressionOf)
}

function entryOf(node: Node): Entry {
  const [key, value] = expressionsInOrder(node)
  if (key === undefined || value === undefined) throw new Error(`not an element: ${node.text}`)
  // A bare word is a name; in brackets it is a reference.
  const isWord = /^[\w-]+$/.test(key.text)
  return {
    key: isWord ? { kind: 'literal', value: key.text } : expressionOf(key),
    value: expressionOf(value),
  }
}

function expressionsInOrder(node: Node): readonly Node[] {
  return named(node).filter(({ type }) => type === 'expression')
}

function literalOf(node: Node): Expression {
  switch (node.type) {
    case 'numeric_lit':
      return { kind: 'literal', value: Number(node.text) }
    case 'bool_lit':
      return { kind: 'literal', value: node.text === 'true' }
    case 'null_lit':
      return { kind: 'literal', value: null }
    default:
      return { kind: 'literal', value: stringOf(node) }
  }
}

function templateOf(node: Node): Expression {
  const [first] = named(node)
  if (node.type === 'template_expr' && first !== undefined) return expressionOf(first)
  const parts = named(node).filter((child) => !isMark(child) && child.type !== 'heredoc_identifier')
  const read = parts.map((part): Expression => {
    if (part.type === 'template_literal') return { kind: 'literal', value: unescaped(part.text) }
    const inside = childOf(part, 'expression')
    return inside === undefined ? otherOf(part) : expressionOf(inside)
  })
  return { kind: 'template', parts: read }
}

function stringOf(node: Node): string {
  return unescaped(node.text.replace(/^"|"$/g, ''))
}

function unescaped(text: string): string {
  return text.replace(/\\(["\\n])/g, (_, mark: string) => (mark === 'n' ? '\n' : mark))
}

/** Each part of an expression, itself first. */
export function* partsIn(value: Expression): Generator<Expression> {
  yield value
  for (const part of directParts(value)) yield* partsIn(part)
}

export function directParts(value: Expression): readonly Expression[] {
  switch (value.kind) {
    case 'literal':
      return []
    case 'template':
    case 'other':
      return value.parts
    case 'list':
      return value.items
    case 'object':
      return value.entries.flatMap((entry) => [entry.key, entry.value])
    case 'call':
      return value.args
    case 'reference':
      return value.steps.flatMap((step) => (typeof step === 'object' ? [step.index] : []))
  }
}

/** The text of a literal, or of a template without anything to fill in. */
export function textOf(value: Expression | undefined): string | undefined {
  if (value?.kind === 'literal') return typeof value.value === 'string' ? value.value : undefined
  const [part, more] = value?.kind === 'template' ? value.parts : []
  return part === undefined || more !== undefined ? undefined : textOf(part)
}
