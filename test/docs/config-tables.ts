import { fileJsonSchema } from '../../src/config/schema.ts'
import { table } from './markdown.ts'
import { type Json, type Leaf, leavesOf, type SchemaNode } from './schema-leaves.ts'

/** The tables of docs/configuration.md, one for each part of the file, made of the schema that the file is checked with. */
export const configTables: Readonly<Record<string, () => string>> = {
  'config service': () => keys((path) => !/^(?:alerts|ledger|stores|issuers|credentials)\b/.test(path)),
  'config alerts': () => keysByKind('alerts'),
  'config ledger': () => keys(within('ledger')),
  'config stores': () => keysByKind('stores.*'),
  'config issuers': () => keysByKind('issuers.*'),
  'config credentials': () =>
    keys((path) => within('credentials')(path) && !/^credentials\.\*\.(?:identity|policy)\b/.test(path)),
  'config identity': () => keys(within('credentials.*.identity')),
  'config policy': () => keys(within('credentials.*.policy')),
}

const within = (root: string) => (path: string) => path === root || path.startsWith(`${root}.`)

/** What a page can say with a link, and the schema, which editors show, cannot. */
const seeAlso: Readonly<Record<string, string>> = {
  'access.tokens': 'This and the next three: [access](access.md).',
  'audit.sinks': 'See [audit](audit.md).',
  'credentials.*.blackout': 'See [blackouts](#blackouts).',
  'credentials.*.identity.subjectToken.azure.resource':
    'With `azure`: the managed identity of an Azure machine.',
  'credentials.*.identity.subjectToken.file': 'One of these four forms is needed.',
  'credentials.*.identity.subjectToken.google.audience':
    'With `google`: the identity of a Google Cloud workload.',
  'credentials.*.mirrors': 'See [mirrors](mirrors.md).',
  'credentials.*.policy.standby': 'See [standby](standby.md).',
  'issuers.*.adminKey': 'See [the admin key](admin-key.md).',
  'issuers.*.adminKey.blackout': 'As of a credential.',
  'issuers.*.adminKey.schedule': 'As of a credential.',
  'issuers.*.kind': 'openai mints and revokes keys; manual takes those that you bring.',
  'stores.*.kind': 'Which store it is: see [stores](stores.md).',
  'stores.*.path': 'See [a store of your own](own-store.md).',
}

const all = leavesOf(fileJsonSchema())

function keys(isWanted: (path: string) => boolean): string {
  const rows = all.filter(({ path }) => isWanted(path)).map((leaf) => rowOf(leaf))
  return table(['key', 'type', 'range', 'default', 'what it says'], rows)
}

/** What several kinds have alike stands once, with all of them. */
function keysByKind(root: string): string {
  const wanted = all.filter(({ path }) => within(root)(path))
  const everyKind = new Set(wanted.flatMap(({ kinds }) => kinds.slice(0, 1)))
  const found = new Map<string, { readonly row: readonly string[]; readonly kinds: string[] }>()
  for (const leaf of wanted) {
    const row = rowOf(leaf)
    const key = row.join('|')
    const known = found.get(key) ?? { row, kinds: [] }
    known.kinds.push(leaf.kinds.join(', '))
    found.set(key, known)
  }
  const rows = [...found.values()].map(({ row: [key = '', ...rest], kinds }) => {
    const isEverywhere = kinds.length === everyKind.size || kinds.join() === ''
    return [key, isEverywhere ? 'all' : kinds.join('; '), ...rest]
  })
  return table(['key', 'kinds', 'type', 'range', 'default', 'what it says'], rows)
}

function rowOf({ path, node, kinds, isNeeded }: Leaf): readonly string[] {
  const { text, range } = described(node)
  const isModule = path === 'stores.*.path' && kinds[0] !== 'module'
  const see = isModule ? undefined : seeAlso[path]
  return [
    `\`${path}\``,
    typeOf(node),
    range ?? rangeOf(node),
    isNeeded && node.default === undefined ? 'needed' : shownDefault(node.default),
    [text, see].filter((part) => part !== undefined && part !== '').join(' '),
  ]
}

const durationRange = /(?:^|\s)(\d+(?:ms|s|m|h|d)) to (\d+(?:ms|s|m|h|d))\.$/
const numberRange = /(?:^|\s)(\d+) to (\d+)\.$/

/** The range ends the description in the schema, where it has no other place; here it has a column. */
function described({ description = '' }: SchemaNode): { text: string; range?: string } {
  const found = durationRange.exec(description) ?? numberRange.exec(description)
  if (found === null) return { text: description }
  return { text: description.slice(0, found.index), range: `${found[1]} to ${found[2]}` }
}

function rangeOf({ minimum, maximum, maxItems, items }: SchemaNode): string {
  if (minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER)
    return `${minimum} to ${maximum}`
  if (maxItems !== undefined && items !== undefined) return `at most ${maxItems}`
  return ''
}

const scalars: Readonly<Record<string, string>> = {
  integer: 'whole number',
  number: 'number',
  boolean: 'boolean',
  array: 'list',
  object: 'object',
}

function typeOf(node: SchemaNode): string {
  const alternatives = node.anyOf ?? node.oneOf
  if (alternatives !== undefined) return [...new Set(alternatives.map(formOf))].join(' or ')
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (node.const !== undefined) return `\`${String(node.const)}\``
  if (node.type === 'array' && node.items !== undefined) return `list of ${itemsOf(node.items)}`
  if (node.type !== 'string') return scalars[node.type ?? ''] ?? 'anything'
  if (node.pattern?.includes('ms|s|m|h|d') === true) return 'duration'
  return node.description?.includes('Relative to the folder of this file.') === true ? 'path' : 'text'
}

function formOf(node: SchemaNode): string {
  const inner = node.anyOf ?? node.oneOf
  if (inner !== undefined) return typeOf(node)
  return node.properties === undefined ? typeOf(node) : `\`${shapeOf(node)}\``
}

/** A kind says what the rest is; without one, all keys are named. */
function shapeOf({ properties = {} }: SchemaNode): string {
  return properties['kind'] === undefined ? `{ ${Object.keys(properties).join(', ')} }` : '{ kind, … }'
}

function itemsOf(items: SchemaNode): string {
  return items.enum === undefined
    ? formOf(items)
    : items.enum.map((value) => `\`${String(value)}\``).join(', ')
}

function shownDefault(value: Json | undefined): string {
  if (value === undefined) return ''
  if (typeof value !== 'object') return `\`${String(value)}\``
  return `\`${yamlOf(value)}\``
}

function yamlOf(value: Json): string {
  if (value === null || typeof value !== 'object') return String(value)
  if (isList(value)) return `[${value.map(yamlOf).join(', ')}]`
  const pairs = Object.entries(value).map(([key, one]) => `${key}: ${yamlOf(one)}`)
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
}

function isList(value: Exclude<Json, string | number | boolean | null>): value is readonly Json[] {
  return Array.isArray(value)
}
