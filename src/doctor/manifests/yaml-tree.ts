import type * as Yaml from 'yaml'

/** A document of YAML, as plain data that knows its lines. */
export type YamlTree =
  | { readonly kind: 'text'; readonly line: number; readonly text: string; readonly isNull: boolean }
  | { readonly kind: 'list'; readonly line: number; readonly items: readonly YamlTree[] }
  | { readonly kind: 'map'; readonly line: number; readonly entries: ReadonlyMap<string, YamlEntry> }

export interface YamlEntry {
  /** Of the key. */
  readonly line: number
  readonly value: YamlTree
}

const charactersMax = 300_000
const documentsMax = 200
/** Aliases that multiply stop here. */
const nodesMax = 50_000
const depthMax = 60
const bracketsMax = 500

/** Every document that can be read; those with faults, such as templates of Helm, are left out. */
export async function readYaml(text: string): Promise<readonly YamlTree[]> {
  if (text.length > charactersMax || nestsTooDeep(text)) return []
  const yaml = await import('yaml')
  const lines = new yaml.LineCounter()
  try {
    const documents = yaml.parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'silent',
    })
    return (Array.isArray(documents) ? documents : []).slice(0, documentsMax).flatMap((document) => {
      if (document.errors.length > 0 || document.contents === null) return []
      const tree = growing(yaml, lines)(document.contents, 0)
      return tree === undefined ? [] : [tree]
    })
  } catch {
    // Nested deeper than a stack goes: nothing that people write.
    return []
  }
}

/** The parser's work grows with the square of the depth. Brackets in quotes count too: nobody has so many of them open. */
function nestsTooDeep(text: string): boolean {
  let depth = 0
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1
    if (depth > bracketsMax) return true
  }
  return false
}

function growing(
  yaml: typeof Yaml,
  lines: Yaml.LineCounter,
): (node: unknown, depth: number) => YamlTree | undefined {
  let nodes = 0
  // The library looks through the whole document for each alias.
  const anchors = new Map<string, { readonly tree: YamlTree; readonly size: number }>()
  const lineOf = (node: Yaml.Node) => lines.linePos(node.range?.[0] ?? 0).line
  const grow = (node: unknown, depth: number): YamlTree | undefined => {
    nodes += 1
    if (nodes > nodesMax || depth > depthMax) return undefined
    if (yaml.isAlias(node)) {
      const known = anchors.get(node.source)
      nodes += known?.size ?? 0
      return nodes > nodesMax ? undefined : known?.tree
    }
    const before = nodes
    const tree = growNode(node, depth)
    if (tree !== undefined && yaml.isNode(node) && !yaml.isAlias(node) && node.anchor !== undefined)
      anchors.set(node.anchor, { tree, size: nodes - before + 1 })
    return tree
  }
  const growNode = (node: unknown, depth: number): YamlTree | undefined => {
    if (yaml.isScalar(node)) return textOf(node.value, node.source, lineOf(node))
    if (yaml.isSeq(node)) {
      const items = node.items.flatMap((item) => grow(item, depth + 1) ?? [])
      return { kind: 'list', line: lineOf(node), items }
    }
    if (!yaml.isMap(node)) return undefined
    const entries = new Map<string, YamlEntry>()
    for (const { key, value } of node.items) {
      const grown = grow(value ?? new yaml.Scalar(null), depth + 1)
      if (!yaml.isScalar(key) || grown === undefined) continue
      if (key.value === '<<') merge(entries, grown)
      else entries.set(String(key.value), { line: lineOf(key), value: grown })
    }
    return { kind: 'map', line: lineOf(node), entries }
  }
  return grow
}

function textOf(value: unknown, source: string | undefined, line: number): YamlTree {
  const isNull = value === null
  // A number keeps the form in which it is written.
  return {
    kind: 'text',
    line,
    isNull,
    text: isNull ? '' : typeof value === 'string' ? value : (source ?? ''),
  }
}

function merge(entries: Map<string, YamlEntry>, from: YamlTree): void {
  if (from.kind === 'list') for (const item of from.items) merge(entries, item)
  if (from.kind !== 'map') return
  for (const [key, entry] of from.entries) if (!entries.has(key)) entries.set(key, entry)
}

export function at(tree: YamlTree | undefined, ...path: readonly string[]): YamlTree | undefined {
  return path.reduce<YamlTree | undefined>(
    (found, key) => (found?.kind === 'map' ? found.entries.get(key)?.value : undefined),
    tree,
  )
}

export function textAt(tree: YamlTree | undefined, ...path: readonly string[]): string | undefined {
  const found = at(tree, ...path)
  return found?.kind === 'text' && !found.isNull ? found.text : undefined
}

export function itemsAt(tree: YamlTree | undefined, ...path: readonly string[]): readonly YamlTree[] {
  const found = at(tree, ...path)
  return found?.kind === 'list' ? found.items : []
}

export function entriesAt(
  tree: YamlTree | undefined,
  ...path: readonly string[]
): ReadonlyMap<string, YamlEntry> {
  const found = at(tree, ...path)
  return found?.kind === 'map' ? found.entries : new Map()
}
