import type { KeyPath } from './document.ts'
import { fileJsonSchema } from './schema.ts'

/** As much of JSON Schema as zod writes for the configuration. */
export interface SchemaNode {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly required?: readonly string[]
  readonly additionalProperties?: SchemaNode | boolean
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
  readonly oneOf?: readonly SchemaNode[]
}

/** The keys that may stand in the map at this path of the value. */
export function keysAt(path: KeyPath, value: unknown): string[] {
  let node: SchemaNode | undefined = fileJsonSchema()
  let at = value
  for (const part of path) {
    node = variant(node, at)
    const rest: SchemaNode | boolean | undefined = node?.additionalProperties
    node = node?.properties?.[part] ?? (typeof rest === 'object' ? rest : node?.items)
    at = typeof at === 'object' && at !== null ? (at as Record<string | number, unknown>)[part] : undefined
  }
  return Object.keys(variant(node, at)?.properties ?? {})
}

/** Of several alternatives the one whose `kind` is the value's; else all their keys together. */
function variant(node: SchemaNode | undefined, value: unknown): SchemaNode | undefined {
  const alternatives = node?.anyOf ?? node?.oneOf
  if (alternatives === undefined) return node
  const resolved = alternatives
    .map((alternative) => variant(alternative, value))
    .filter((alternative) => alternative?.properties !== undefined)
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
  const exact = resolved.find((alternative) => alternative?.properties?.['kind']?.const === kind)
  if (kind !== undefined && exact !== undefined) return exact
  return { properties: Object.assign({}, ...resolved.map((alternative) => alternative?.properties)) }
}
