import { openApiDocument } from '../../src/api/openapi.ts'
import { type Access, type Operation, type OperationId, operations } from '../../src/api/operations.ts'
import { refusalsOf } from '../../src/api/refusals.ts'
import { statusOf } from '../../src/api/status.ts'
import { anchorOf, table } from './markdown.ts'
import type { SchemaNode } from './schema-leaves.ts'

interface Described {
  readonly operationId: OperationId
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly description?: string
    readonly schema: SchemaNode
  }[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>
}
type Content = Readonly<Record<string, { readonly schema?: Reference }>>
interface Reference {
  readonly $ref?: string
}
type Schema = SchemaNode &
  Reference & { readonly properties?: Readonly<Record<string, SchemaNode & Reference>> }

const contract = openApiDocument('') as unknown as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

const all = Object.entries(operations) as [OperationId, Operation][]

/** Every route with what it needs, takes, answers and refuses. */
export const routeSections = (): string =>
  all.map(([id, operation]) => routeSection(id, operation)).join('\n\n')

/** Every message, with its fields. */
export const messageSections = (): string =>
  Object.entries(contract.components.schemas)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([id, schema]) => [`### ${id}`, ...fieldsOf(schema)].join('\n\n'))
    .join('\n\n')

function routeSection(id: OperationId, operation: Operation): string {
  const { method, path } = operation
  const described = contract.paths[path]?.[method.toLowerCase()]
  if (described === undefined) throw new Error(`the contract has no ${method} ${path}`)
  const taken = (described.parameters ?? []).filter((one) => one.in !== 'path')
  return [
    `### \`${method} ${path}\``,
    `${operation.summary}. \`${id}\`; needs ${needed(operation.access)}.`,
    ...(taken.length === 0
      ? []
      : [
          table(
            ['query or header', 'type', 'what it says'],
            taken.map((one) => [`\`${one.name}\` (${one.in})`, typeOf(one.schema), one.description ?? '']),
          ),
        ]),
    [
      ...(described.requestBody === undefined
        ? []
        : [
            `- Body: ${linkOf(described.requestBody.content)}${operation.isBodyRequired === true ? '' : ', optional'}.`,
          ]),
      `- Answer: ${operation.status}${answerOf(operation, described)}.`,
      `- Refusals: ${refusals(id, operation)}.`,
      `- More: [the HTTP API](../api.md#${anchorOf(`\`${method} ${path}\``)}).`,
    ].join('\n'),
  ].join('\n\n')
}

function needed(access: Access): string {
  if (access === 'open') return 'no token'
  if (access === 'seen') return 'a token with any grant on the credential'
  return (typeof access === 'string' ? [access] : access).map((grant) => `\`${grant}\``).join(' or ')
}

function answerOf({ mediaType, status }: Operation, { responses }: Described): string {
  const content = responses[String(status)]?.content
  if (content === undefined) return ''
  const link = linkOf(content)
  return `${link === '' ? '' : ` with ${link}`}${mediaType === undefined ? '' : ` as \`${mediaType}\``}`
}

function refusals(id: OperationId, operation: Operation): string {
  const codes = refusalsOf(id, operation)
  return codes.length === 0
    ? 'none of its own'
    : codes.map((code) => `\`${code}\` ${statusOf(code)}`).join(', ')
}

function linkOf(content: Content): string {
  const [media] = Object.values(content)
  return media?.schema?.$ref === undefined ? '' : messageLink(media.schema.$ref)
}

function messageLink(reference: string): string {
  const id = reference.split('/').at(-1) ?? ''
  return `[${id}](#${anchorOf(id)})`
}

function fieldsOf({ properties = {}, required = [], ...rest }: Schema): readonly string[] {
  const fields = Object.entries(properties)
  if (fields.length === 0) return [`${typeOf(rest)}.`]
  const rows = fields.map(([name, node]) => [
    `\`${name}\``,
    typeOf(node),
    required.includes(name) ? 'yes' : 'no',
    node.description ?? '',
  ])
  return [table(['field', 'type', 'always', 'what it says'], rows)]
}

function typeOf(
  node: Omit<SchemaNode, 'type'> &
    Reference & { readonly type?: string | readonly string[]; readonly format?: string },
): string {
  if (node.$ref !== undefined) return messageLink(node.$ref)
  const alternatives = node.anyOf ?? node.oneOf
  if (alternatives !== undefined) return [...new Set(alternatives.map((one) => typeOf(one)))].join(' or ')
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (node.const !== undefined) return `\`${String(node.const)}\``
  if (node.type === 'array') return `list of ${typeOf(node.items ?? {})}`
  if (node.type === 'integer') return 'whole number'
  if (node.type === 'string') return node.format === 'date-time' ? 'instant' : 'text'
  if (node.type === 'object') return objectOf(node)
  return typeof node.type === 'object'
    ? node.type.map((type) => typeOf({ type })).join(' or ')
    : (node.type ?? 'anything')
}

function objectOf({ properties }: Pick<SchemaNode, 'properties'>): string {
  return properties === undefined ? 'object' : `\`{ ${Object.keys(properties).join(', ')} }\``
}
