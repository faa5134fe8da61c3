/** What of an OpenAPI document a fuzzer needs: the document alone says what is sent and what may come back. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

export interface Described {
  readonly operationId: string
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly schema: Schema
}

export type Content = Readonly<Record<string, { readonly schema: Schema }>>

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
}

export interface Route extends Described {
  readonly method: string
  readonly path: string
  readonly isOpen: boolean
}

/** What a method does on the path of a route; HEAD does what GET does. */
export function routeFor(document: OpenApi, path: string, method: string): Described | undefined {
  const item = document.paths[path]
  return (
    item?.[method.toLowerCase()] ?? (method === 'HEAD' && hasEnd(item?.['get']) ? item?.['get'] : undefined)
  )
}

function hasEnd(described: Described | undefined): boolean {
  return described?.responses['200']?.content?.['text/event-stream'] === undefined
}

export function resolveSchema(document: OpenApi, schema: Schema): Schema {
  const name = schema.$ref?.replace('#/components/schemas/', '')
  if (name === undefined) return schema
  const found = document.components.schemas[name]
  if (found === undefined) throw new Error(`the document has no schema ${name}`)
  return found
}
