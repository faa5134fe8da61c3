type Scalar = string | number | boolean | null
export type Json = Scalar | readonly Json[] | { readonly [name: string]: Json }

/** What is read of a JSON Schema here. */
export interface SchemaNode {
  readonly type?: string
  readonly const?: Scalar
  readonly enum?: readonly Scalar[]
  readonly default?: Json
  readonly description?: string
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly maxItems?: number
  readonly required?: readonly string[]
  readonly items?: SchemaNode
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: boolean | SchemaNode
  readonly anyOf?: readonly SchemaNode[]
  readonly oneOf?: readonly SchemaNode[]
}

/** A key of keyturn.yaml that takes a value of its own. */
export interface Leaf {
  /** `stores.*.region`; `*` stands for a name. */
  readonly path: string
  /** The kind of store, issuer, ledger or login that has it; empty where there are no kinds. */
  readonly kinds: readonly string[]
  readonly node: SchemaNode
  /** Its object cannot do without it. */
  readonly isNeeded: boolean
}

/** What refers to something that is described elsewhere, or has forms that its own line tells of. */
const references =
  /\.(?:store|sessionKey|clientSecret|issuer|adminKey|passphrase|password|token|secretId|jwt|url)$/
/** The same keys as those of a credential, told there. */
const toldElsewhere = /\.adminKey\.(?:schedule|blackout|policy)$/

/** Those of named stores and issuers come once, under `stores.*` and `issuers.*`. */
export function leavesOf(
  node: SchemaNode,
  { path = '', kinds = [], isNeeded = false }: Partial<Pick<Leaf, 'path' | 'kinds' | 'isNeeded'>> = {},
): readonly Leaf[] {
  const at = (key: string): string => (path === '' ? key : `${path}.${key}`)
  const own: Leaf = { path, kinds, node, isNeeded }
  const alternatives = node.anyOf ?? node.oneOf
  if (toldElsewhere.test(path)) return [own]
  if (alternatives !== undefined) {
    if (path.endsWith('.adminKey')) {
      const kept = alternatives.find((one) => one.properties?.['store'] !== undefined)
      return [own, ...leavesOf({ ...kept }, { path, kinds })]
    }
    if (references.test(path)) return [own]
    const inner = alternatives.flatMap((one) => leavesOf(one, { path, kinds: [...kinds, ...kindOf(one)] }))
    const isChoice = alternatives.some((one) => one.properties === undefined)
    return isChoice
      ? [own, ...inner.filter((leaf) => leaf.path !== path)]
      : withKind(inner, { ...own, path: at('kind') })
  }
  if (node.properties !== undefined)
    return Object.entries(node.properties).flatMap(([key, child]) =>
      leavesOf(child, { path: at(key), kinds, isNeeded: node.required?.includes(key) === true }),
    )
  if (typeof node.additionalProperties === 'object')
    return leavesOf(withDescription(node.additionalProperties, node), { path: at('*'), kinds })
  return [own]
}

function kindOf({ properties }: SchemaNode): readonly string[] {
  const kind = properties?.['kind']?.const
  return typeof kind === 'string' ? [kind] : []
}

/** The kinds of all alternatives as one key with a choice, in place of a constant in each. */
function withKind(inner: readonly Leaf[], union: Leaf): readonly Leaf[] {
  const { path, kinds, node } = union
  const constants = inner.filter((leaf) => leaf.path === path)
  if (constants.length === 0) return inner
  const usual = (node.default as { readonly kind?: string } | undefined)?.kind
  const choice: SchemaNode = {
    enum: constants.map((one) => one.node.const ?? null),
    ...(usual === undefined ? {} : { default: usual }),
    ...(node.description === undefined ? {} : { description: node.description }),
  }
  return [
    { path, kinds, node: choice, isNeeded: usual === undefined },
    ...inner.filter((leaf) => leaf.path !== path),
  ]
}

/** A record of anything says what it is on itself. */
function withDescription(values: SchemaNode, record: SchemaNode): SchemaNode {
  return Object.keys(values).length > 0 || record.description === undefined
    ? values
    : { description: record.description }
}
