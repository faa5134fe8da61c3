import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'

type Json = { readonly [key: string]: unknown }

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly [field: string]: unknown
}

export interface CustomDefinition {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string; readonly plural: string }
    readonly versions: readonly {
      readonly name: string
      readonly schema: { readonly openAPIV3Schema: Json }
    }[]
  }
}

/** Taken out of what Kubernetes and the operators publish; see write-schemas.ts. */
const published = JSON.parse(readFileSync(join(import.meta.dirname, 'schemas.json'), 'utf8')) as {
  readonly definitions: Readonly<Record<string, Json>>
  readonly custom: readonly CustomDefinition[]
}

export const customDefinitions: readonly CustomDefinition[] = published.custom

/** Either is taken, though the published schema names one. */
const alsoNumbers = new Set([
  'io.k8s.apimachinery.pkg.api.resource.Quantity',
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
])

/** A field that is not in the schema is an error, as it is for an API server that validates strictly. */
function strict(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strict)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([key, inner]) => key !== 'pattern' || !isOfGo(inner))
  const one = Object.fromEntries(entries.map(([key, inner]) => [key, strict(inner)]))
  if (one['x-kubernetes-int-or-string'] === true) return { type: ['string', 'integer'] }
  const isClosed = typeof one['properties'] === 'object' && !('additionalProperties' in one)
  return isClosed && one['x-kubernetes-preserve-unknown-fields'] !== true && isSchema(one)
    ? { ...one, additionalProperties: false }
    : one
}

/** A pattern with a flag inside, which JavaScript does not read. */
const isOfGo = (pattern: unknown): boolean => typeof pattern === 'string' && pattern.includes('(?i)')

/** Not a map of fields, one of which is called `properties`. */
const isSchema = (one: Json): boolean => one['type'] === 'object'

const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true })
const compiled = new Map<string, ValidateFunction | undefined>()

function validatorOf({ apiVersion, kind }: Manifest): ValidateFunction | undefined {
  const key = `${apiVersion}/${kind}`
  if (!compiled.has(key)) compiled.set(key, compile(apiVersion, kind))
  return compiled.get(key)
}

function compile(apiVersion: string, kind: string): ValidateFunction | undefined {
  const custom = published.custom.find(({ spec }) => spec.names.kind === kind)
  if (custom !== undefined) {
    const version = custom.spec.versions.find(({ name }) => `${custom.spec.group}/${name}` === apiVersion)
    if (version === undefined) return undefined
    const meta = { $ref: 'all#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' }
    const schema = strict(version.schema.openAPIV3Schema) as Json & { readonly properties: Json }
    loadAll()
    return ajv.compile({ ...schema, properties: { ...schema.properties, metadata: meta } })
  }
  const name = Object.keys(published.definitions).find((one) =>
    isOf(published.definitions[one], apiVersion, kind),
  )
  if (name === undefined) return undefined
  loadAll()
  return ajv.compile({ $ref: `all#/definitions/${name}` })
}

function isOf(definition: Json | undefined, apiVersion: string, kind: string): boolean {
  const kinds = (definition?.['x-kubernetes-group-version-kind'] ?? []) as readonly Readonly<
    Record<string, string>
  >[]
  const [version = '', group = ''] = apiVersion.split('/').toReversed()
  return kinds.some((one) => one['kind'] === kind && one['version'] === version && one['group'] === group)
}

function loadAll(): void {
  if (ajv.getSchema('all') !== undefined) return
  const definitions = Object.entries(published.definitions).map(([name, one]) => [
    name,
    alsoNumbers.has(name) ? { type: ['string', 'number'] } : strict(one),
  ])
  ajv.addSchema({ $id: 'all', definitions: Object.fromEntries(definitions) })
}

/** What an API server would say against it; empty where it would take it. */
export function schemaProblems(manifest: Manifest): readonly string[] {
  const validate = validatorOf(manifest)
  if (validate === undefined) return [`there is no ${manifest.kind} in ${manifest.apiVersion}`]
  if (validate(manifest)) return []
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    'additionalProperty' in params
      ? `${instancePath} has no field ${params['additionalProperty']}`
      : `${instancePath} ${message}`,
  )
}
