// By hand, when a module uses a resource that schemas/ does not have, or a provider is raised:
//   mkdir /tmp/bindings && cd /tmp/bindings && npm init -y
//   npm install --ignore-scripts --legacy-peer-deps @cdktf/provider-aws@21 @cdktf/provider-azurerm@14 @cdktf/provider-google@16 @cdktf/provider-random@12
//   cd - && node_modules/.bin/node test/terraform/extract-schemas.ts /tmp/bindings && npx biome format --write test/terraform/schemas
//
// The registry of Terraform's providers is not npm, and a provider has 100 MB and more. These packages were made by machine
// from the providers' own schemas, and say of each argument whether it is required, optional or computed. Nothing of them is
// run: their sources are read.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openParser } from './hcl.ts'
import { loadModule, moduleFolders } from './modules.ts'
import {
  type AttributeSchema,
  type BlockSchema,
  type NestedSchema,
  type ProviderSchema,
  providers,
  schemaPath,
  type Type,
} from './schema.ts'

/** The comment over each member of a class, in which the flags of the schema are. */
const flags = /^ {2}\/\/ (\w+) - computed: (true|false), optional: (true|false), required: (true|false)$/gm

const [bindings] = process.argv.slice(2)
if (bindings === undefined) throw new Error('say where the packages are installed')
const parse = await openParser()
const used = moduleFolders()
  .map((folder) => loadModule(folder, parse))
  .flatMap(({ blocks }) => blocks.filter(({ type }) => ['resource', 'data', 'ephemeral'].includes(type)))
  .map(({ type, labels: [label = ''] }) => ({ kind: type, type: label }))

for (const name of providers) {
  const folder = join(bindings, 'node_modules', '@cdktf', `provider-${name}`)
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly version: string
    readonly cdktf: { readonly provider: { readonly version: string } }
  }
  const mine = used.filter(({ type }) => type.startsWith(`${name}_`))
  const of = (kind: string, prefix: string) =>
    Object.fromEntries(
      [...new Set(mine.filter((one) => one.kind === kind).map(({ type }) => type))]
        .toSorted()
        .map((type) => [type, resourceIn(folder, `${prefix}${type.slice(name.length + 1)}`)]),
    )
  const schema: ProviderSchema = {
    source: `hashicorp/${name}`,
    version: about.cdktf.provider.version,
    from: `@cdktf/provider-${name} ${about.version}`,
    provider: providerIn(folder),
    resource: of('resource', ''),
    data: of('data', `data_${name}_`),
    // The packages have none of these. The one that is used takes what the resource of its name does, but for `keepers` and `id`.
    ephemeral: Object.fromEntries(
      Object.entries(of('ephemeral', '')).map(([type, block]) => [type, withoutKeepers(block)]),
    ),
  }
  writeFileSync(schemaPath(name), `${JSON.stringify(schema)}\n`)
}

function withoutKeepers({ attributes, blocks }: BlockSchema): BlockSchema {
  const { keepers: _keepers, id: _id, ...rest } = attributes
  return { attributes: rest, blocks }
}

/** The TypeScript that a package was compiled from, which its source maps hold, of one resource. */
function sourceOf(folder: string, name: string): string {
  const path = join(folder, 'lib', name)
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.js'),
  )
  return files
    .map((file) => /base64,([A-Za-z0-9+/=]+)\s*$/.exec(readFileSync(join(path, file), 'utf8'))?.[1] ?? '')
    .map((map) => JSON.parse(Buffer.from(map, 'base64').toString('utf8')) as { sourcesContent: string[] })
    .flatMap(({ sourcesContent }) => sourcesContent)
    .join('\n')
}

// ----------------------------------------------------------------- resources

function resourceIn(folder: string, snake: string): BlockSchema {
  const source = sourceOf(folder, snake.replaceAll('_', '-'))
  const classes = new Map(
    [...source.matchAll(/^export class (\w+) extends cdktf\.(\w+) \{$([\s\S]*?)^\}$/gm)].map(
      ([, name = '', parent = '', body = '']) => [name, { parent, body }],
    ),
  )
  const top = [...classes].find(([, { parent }]) => /^Terraform(?:Resource|DataSource)$/.test(parent))
  if (top === undefined) throw new Error(`no resource in ${snake}`)
  const blocks = new Set(
    [...source.matchAll(/^ +(\w+): \{\n(?:.*\n)?.*isBlock: true,/gm)].map(([, name]) => name),
  )
  return blockOf(top[0], { classes, blocks })
}

interface Source {
  readonly classes: ReadonlyMap<string, { readonly parent: string; readonly body: string }>
  /** Names of those that are written as blocks. */
  readonly blocks: ReadonlySet<string | undefined>
}

function blockOf(className: string, source: Source): BlockSchema {
  const body = source.classes.get(className)?.body ?? ''
  const marks = [...body.matchAll(flags)]
  const attributes: Record<string, AttributeSchema> = {}
  const blocks: Record<string, NestedSchema> = {}
  for (const [index, mark] of marks.entries()) {
    const [, name = '', isComputed, isOptional, isRequired] = mark
    const member = body.slice(mark.index, marks[index + 1]?.index)
    const nested = /private _\w+ = new (\w+)\(this, "\w+"(?:, (true|false))?\)/.exec(member)
    const isSet = isOptional === 'true' || isRequired === 'true'
    if (nested !== null && isSet && source.blocks.has(name)) {
      blocks[name] = nestedOf(nested, isRequired === 'true', source)
      continue
    }
    const how = isRequired === 'true' ? 'required' : isOptional === 'true' ? 'optional' : 'computed'
    const type = nested === null ? typeOf(member) : objectOf(nested, source)
    attributes[name] = [how === 'optional' && isComputed === 'true' ? 'optional computed' : how, type]
  }
  for (const [name, [how, type]] of Object.entries(attributes))
    if (name.endsWith('_wo') && how !== 'computed') attributes[name] = ['write-only', type]
  return { attributes, blocks }
}

function nestedOf([, name = '', isSet]: RegExpExecArray, isRequired: boolean, source: Source): NestedSchema {
  const isList = name.endsWith('List')
  const element = isList ? name.replace(/List$/, 'OutputReference') : name
  const nesting = isList ? (isSet === 'true' ? 'set' : 'list') : 'single'
  return { nesting, ...(isRequired ? { required: true } : {}), ...blockOf(element, source) }
}

/** What a provider tells as a list of objects, and nobody sets. */
function objectOf([, name = '', isSet]: RegExpExecArray, source: Source): Type {
  const { attributes, blocks } = blockOf(name.replace(/(?:List|Map)$/, 'OutputReference'), source)
  const fields = Object.entries({ ...attributes, ...blocks }).map(([key, value]): [string, Type] => [
    key,
    Array.isArray(value) ? (value as unknown as AttributeSchema)[1] : 'dynamic',
  ])
  const object: Type = ['object', Object.fromEntries(fields)]
  if (name.endsWith('Map')) return ['map', object]
  return name.endsWith('List') ? [isSet === 'true' ? 'set' : 'list', object] : object
}

function typeOf(member: string): Type {
  const getter = /return (?:this|cdktf\.Fn\.tolist\(this)\.(get|interpolationFor)(\w*?)Attribute\(/.exec(
    member,
  )
  const isSet = member.includes('cdktf.Fn.tolist(')
  const types: Readonly<Record<string, Type>> = {
    String: 'string',
    Number: 'number',
    Boolean: 'bool',
    List: [isSet ? 'set' : 'list', 'string'],
    NumberList: [isSet ? 'set' : 'list', 'number'],
    StringMap: ['map', 'string'],
    NumberMap: ['map', 'number'],
    BooleanMap: ['map', 'bool'],
  }
  return types[getter?.[2] ?? ''] ?? 'dynamic'
}

// ----------------------------------------------------------------- the provider itself

/** Its arguments are all optional here: which of them are needed depends on where the others come from. */
function providerIn(folder: string): BlockSchema {
  const source = sourceOf(folder, 'provider')
  const interfaces = new Map(
    [...source.matchAll(/^export interface (\w+)(?: extends [\w.]+)? \{$([\s\S]*?)^\}$/gm)].map(
      ([, name = '', body = '']) => [name, body],
    ),
  )
  const top = [...interfaces.keys()].find((name) => /^\w+ProviderConfig$/.test(name)) ?? ''
  return interfaceOf(top, interfaces)
}

function interfaceOf(name: string, interfaces: ReadonlyMap<string, string>): BlockSchema {
  const attributes: Record<string, AttributeSchema> = {}
  const blocks: Record<string, NestedSchema> = {}
  const members = (interfaces.get(name) ?? '').matchAll(
    /#(\w+) \w+#\w+\}\s*\*\/\s*readonly \w+\??: ([^;]+);/g,
  )
  for (const [, key = '', written = ''] of members) {
    if (key === 'alias') continue
    const nested = [...written.matchAll(/\w+/g)].map(([word]) => word).find((word) => interfaces.has(word))
    if (nested !== undefined) {
      const nesting = written.includes('[]') ? 'list' : 'single'
      blocks[key] = { nesting, ...interfaceOf(nested, interfaces) }
    } else attributes[key] = ['optional', writtenType(written)]
  }
  return { attributes, blocks }
}

function writtenType(written: string): Type {
  if (written.includes('string[]')) return ['list', 'string']
  if (written.includes('[key: string]')) return ['map', 'string']
  return written.startsWith('boolean') ? 'bool' : written.startsWith('number') ? 'number' : 'string'
}
