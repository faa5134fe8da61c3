import { join, relative } from 'node:path'
import { type Block, type Body, directParts, type Expression, partsIn, splat, textOf } from './hcl.ts'
import { attribute, inner, type Module, ofType, type Placed, placeOf, textIn, valueOf } from './modules.ts'
import type { BlockSchema, ProviderSchema, Type } from './schema.ts'

/** What is wrong with the names in a module: held against the providers' schemas and against what the module declares. */
export function problemsOf(
  module: Module,
  schemas: readonly ProviderSchema[],
  modules: readonly Module[],
): readonly string[] {
  const context = { module, schemas, modules }
  return [
    ...providerProblems(context),
    ...module.blocks.flatMap((block) => resourceProblems(block, context)),
    ...module.blocks.flatMap((block) => referenceProblems(block, context)),
    ...ofType(module, 'module').flatMap((block) => inputProblems(block, context)),
    ...declarationProblems(module),
  ]
}

interface Context {
  readonly module: Module
  readonly schemas: readonly ProviderSchema[]
  readonly modules: readonly Module[]
}

const kinds = ['resource', 'data', 'ephemeral'] as const
type Kind = (typeof kinds)[number]

function isKind(type: string): type is Kind {
  return (kinds as readonly string[]).includes(type)
}

// ----------------------------------------------------------------- resources against their schemas

/** Arguments that Terraform itself takes of every resource. */
const own = new Set(['count', 'for_each', 'provider', 'depends_on'])
const ownBlocks = new Set(['lifecycle'])

function resourceProblems(block: Placed, { schemas }: Context): readonly string[] {
  const place = placeOf(block)
  if (block.type === 'provider') {
    const schema = schemas.find(({ source }) => source === `hashicorp/${block.labels[0] ?? ''}`)
    return schema === undefined ? [`${place}: unknown provider`] : bodyProblems(block, schema.provider, place)
  }
  if (!isKind(block.type)) return []
  const schema = schemaOf(block.type, block.labels[0] ?? '', schemas)
  if (schema === undefined) return [`${place}: unknown type (see test/terraform/extract-schemas.ts)`]
  const body = {
    attributes: block.attributes.filter(({ name }) => !own.has(name)),
    blocks: block.blocks.filter(({ type }) => !ownBlocks.has(type)),
  }
  return bodyProblems(body, schema, place)
}

function schemaOf(kind: Kind, type: string, schemas: readonly ProviderSchema[]): BlockSchema | undefined {
  return schemas.map((schema) => schema[kind][type]).find((block) => block !== undefined)
}

function bodyProblems(body: Body, schema: BlockSchema, place: string): readonly string[] {
  const given = new Set(body.attributes.map(({ name }) => name))
  const problems = body.attributes.flatMap(({ name, line }) => {
    const [how] = schema.attributes[name] ?? []
    if (how === undefined) return [`${place}: line ${line}: unknown argument ${name}`]
    return how === 'computed' ? [`${place}: line ${line}: ${name} is the provider's to say`] : []
  })
  const missing = Object.entries(schema.attributes)
    .filter(([name, [how]]) => how === 'required' && !given.has(name))
    .map(([name]) => `${place}: ${name} is required`)
  const doubled = body.attributes
    .filter(({ name }, index) => body.attributes.findIndex((one) => one.name === name) !== index)
    .map(({ name }) => `${place}: ${name} is there twice`)
  const nested = body.blocks.flatMap((block) => {
    const type = block.type === 'dynamic' ? (block.labels[0] ?? '') : block.type
    return schema.blocks[type] === undefined ? [`${place}: line ${block.line}: unknown block ${type}`] : []
  })
  const inside = Object.entries(schema.blocks).flatMap(([type, block]) => {
    const found = inner(body, type)
    const count = found.length
    return [
      ...(block.required === true && count === 0 ? [`${place}: a block ${type} is required`] : []),
      ...(block.nesting === 'single' && count > 1 ? [`${place}: one block ${type} at most`] : []),
      ...found.flatMap((one) => bodyProblems(one, block, `${place}.${type}`)),
    ]
  })
  return [...problems, ...missing, ...doubled, ...nested, ...inside]
}

// ----------------------------------------------------------------- references

type Reference = Extract<Expression, { kind: 'reference' }>

function referenceProblems(block: Placed, context: Context): readonly string[] {
  return referencesIn(block, new Set()).flatMap((steps) =>
    brokenReference(steps, context).map((problem) => `${placeOf(block)}: ${problem}`),
  )
}

/** Every reference below, without those to names that a `for` or a `dynamic` block gives to its elements. */
function referencesIn(body: Body, known: ReadonlySet<string>): readonly Reference['steps'][] {
  return [
    ...body.attributes
      .filter(({ name }) => name !== 'ignore_changes' && name !== 'type')
      .flatMap(({ value }) => freeReferences(value, known)),
    ...body.blocks.flatMap((block) =>
      referencesIn(block, block.type === 'dynamic' ? new Set([...known, block.labels[0] ?? '']) : known),
    ),
  ]
}

function freeReferences(value: Expression, known: ReadonlySet<string>): readonly Reference['steps'][] {
  const inside = value.kind === 'other' ? new Set([...known, ...value.names]) : known
  const own =
    value.kind === 'reference' && typeof value.steps[0] === 'string' && !known.has(value.steps[0])
      ? [value.steps]
      : []
  return [...own, ...directParts(value).flatMap((part) => freeReferences(part, inside))]
}

const always = new Set(['each', 'count', 'path', 'terraform', 'self'])
/** Providers by what their types begin with. */
const resourcePattern = /^(?:aws|azurerm|google|random)_/

function brokenReference(
  steps: Reference['steps'],
  { module, schemas, modules }: Context,
): readonly string[] {
  const [root, ...rest] = steps
  const [second, ...further] = rest
  const name = typeof second === 'string' ? second : ''
  const written = steps.map((step) => (typeof step === 'string' ? step : '[…]')).join('.')
  const missing = [`${written} is not declared`]
  if (typeof root !== 'string' || always.has(root)) return []
  if (root === 'var') return declared(module, 'variable').has(name) ? [] : missing
  if (root === 'local') return locals(module).has(name) ? [] : missing
  if (root === 'module') return moduleOutput(name, further, { module, modules }) ? [] : missing
  const kind: Kind = root === 'data' || root === 'ephemeral' ? root : 'resource'
  const [type, label, ...path] = kind === 'resource' ? steps : rest
  if (typeof type !== 'string' || !resourcePattern.test(type)) return [`${written} is nothing that is known`]
  const isThere = module.blocks.some(
    (block) => block.type === kind && block.labels[0] === type && block.labels[1] === label,
  )
  if (!isThere) return missing
  const schema = schemaOf(kind, type, schemas)
  return schema === undefined || hasPath(schema, path) ? [] : [`${written}: ${type} has no such attribute`]
}

function namesOf(path: Reference['steps']): readonly string[] {
  return path.filter((step) => typeof step === 'string' && step !== splat) as string[]
}

function hasPath(schema: BlockSchema, path: Reference['steps']): boolean {
  const [first, ...rest] = namesOf(path)
  if (first === undefined) return true
  const nested = schema.blocks[first]
  if (nested !== undefined) return hasPath(nested, rest)
  const attribute = schema.attributes[first]
  return attribute !== undefined && hasFields(attribute[1], rest)
}

function hasFields(
  type: Type | Readonly<Record<string, Type>>,
  [first, ...rest]: readonly string[],
): boolean {
  if (first === undefined || type === 'dynamic') return true
  if (!Array.isArray(type)) return false
  const [kind, of] = type as readonly [string, Type | Readonly<Record<string, Type>>]
  if (kind === 'map') return true
  if (kind !== 'object') return hasFields(of, [first, ...rest])
  const field = (of as Readonly<Record<string, Type>>)[first]
  return field !== undefined && hasFields(field, rest)
}

function moduleOutput(
  name: string,
  path: Reference['steps'],
  { module, modules }: Pick<Context, 'module' | 'modules'>,
): boolean {
  const call = ofType(module, 'module').find(({ labels }) => labels[0] === name)
  const output = namesOf(path)[0]
  const target = call === undefined ? undefined : calledBy(call, module, modules)
  return (
    call !== undefined &&
    (output === undefined || target === undefined || declared(target, 'output').has(output))
  )
}

function calledBy(call: Block, module: Module, modules: readonly Module[]): Module | undefined {
  const folder = join(module.folder, textIn(call, 'source') ?? '')
  return modules.find((one) => relative(one.folder, folder) === '')
}

function declared(module: Module, type: string): ReadonlySet<string> {
  return new Set(ofType(module, type).map(({ labels }) => labels[0] ?? ''))
}

function locals(module: Module): ReadonlySet<string> {
  return new Set(ofType(module, 'locals').flatMap(({ attributes }) => attributes.map(({ name }) => name)))
}

// ----------------------------------------------------------------- modules, variables and outputs

const moduleArguments = new Set(['source', 'version', 'providers', ...own])

function inputProblems(call: Placed, { module, modules }: Context): readonly string[] {
  const target = calledBy(call, module, modules)
  if (target === undefined) return [`${placeOf(call)}: its source is no module here`]
  const variables = ofType(target, 'variable')
  const given = new Set(call.attributes.map(({ name }) => name).filter((name) => !moduleArguments.has(name)))
  const names = new Set(variables.map(({ labels }) => labels[0] ?? ''))
  const unknown = [...given].filter((name) => !names.has(name))
  const missing = variables
    .filter((variable) => attribute(variable, 'default') === undefined)
    .map(({ labels }) => labels[0] ?? '')
    .filter((name) => !given.has(name))
  return [
    ...unknown.map((name) => `${placeOf(call)}: ${target.name} has no input ${name}`),
    ...missing.map((name) => `${placeOf(call)}: ${name} is required`),
  ]
}

function declarationProblems(module: Module): readonly string[] {
  const used = new Set(
    module.blocks.flatMap((block) =>
      referencesIn(withoutOwnValidation(block), new Set()).map((steps) =>
        namesOf(steps).slice(0, 2).join('.'),
      ),
    ),
  )
  const variables = ofType(module, 'variable').flatMap((variable) => {
    const place = `${variable.file}: variable ${variable.labels[0] ?? ''}`
    const conditions = inner(variable, 'validation').filter(
      (one) => !/^[^\n]{10,}[.?]$/.test(messageOf(one)) || attribute(one, 'condition') === undefined,
    )
    return [
      ...(used.has(`var.${variable.labels[0] ?? ''}`) ? [] : [`${place} is not used`]),
      ...(textIn(variable, 'description')?.endsWith('.') === true ? [] : [`${place} has no description`]),
      ...(attribute(variable, 'type') === undefined ? [`${place} has no type`] : []),
      ...conditions.map(() => `${place}: what a validation says is no sentence`),
    ]
  })
  const unusedLocals = [...locals(module)]
    .filter((name) => !used.has(`local.${name}`))
    .map((name) => `${module.name}: local.${name} is not used`)
  const outputs = ofType(module, 'output')
    .filter((output) => textIn(output, 'description')?.endsWith('.') !== true)
    .map((output) => `${output.file}: output ${output.labels[0] ?? ''} has no description`)
  return [...variables, ...unusedLocals, ...outputs]
}

/** That a variable's own validation looks at it is no use of it. */
function withoutOwnValidation(block: Placed): Body {
  if (block.type !== 'variable') return block
  return { attributes: [], blocks: [] }
}

function messageOf(validation: Block): string {
  const value = valueOf(validation, 'error_message')
  return value === undefined
    ? ''
    : [...partsIn(value)].map((part) => (part.kind === 'literal' ? String(part.value) : '')).join('')
}

// ----------------------------------------------------------------- providers

function providerProblems({ module, schemas }: Context): readonly string[] {
  const terraform = ofType(module, 'terraform')
  const wanted = terraform
    .flatMap((block) => inner(block, 'required_providers'))
    .flatMap(({ attributes }) => attributes)
  const needed = new Set(
    module.blocks
      .filter(({ type }) => isKind(type))
      .map(({ labels }) => (labels[0] ?? '').split('_')[0] ?? ''),
  )
  const names = new Set(wanted.map(({ name }) => name))
  const undeclared = [...needed].filter((name) => !names.has(name))
  return [
    ...undeclared.map((name) => `${module.name}: the provider ${name} is not in required_providers`),
    ...wanted.flatMap(({ name, value }) => {
      const entries = value.kind === 'object' ? value.entries : []
      const text = (key: string) => textOf(entries.find((entry) => textOf(entry.key) === key)?.value) ?? ''
      const schema = schemas.find(({ source }) => source === text('source'))
      if (schema === undefined) return [`${module.name}: ${name} has no schema here`]
      const [major, minor] = schema.version.split('.')
      return text('version') === `~> ${major}.${minor}`
        ? []
        : [
            `${module.name}: ${name} is to be pinned to ~> ${major}.${minor}, which its names are checked against`,
          ]
    }),
  ]
}
