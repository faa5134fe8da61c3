import { join } from 'node:path'
import { loadPackageDefinition, Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { AttributeSchema, BlockSchema, NestedSchema, ProviderSchema } from './schema.ts'

/**
 * A provider of Terraform that knows its schema and does nothing: Terraform itself then checks every name, type and
 * reference of a configuration against it, with the real provider out of reach. It is made known by
 * `TF_REATTACH_PROVIDERS`, Terraform's way to debug a provider that runs already.
 */
export interface SchemaProvider {
  readonly source: string
  readonly address: string
  close(): void
}

export async function serveSchema(schema: ProviderSchema): Promise<SchemaProvider> {
  const server = new Server()
  const answer = answerOf(schema)
  const nothing = (_call: unknown, done: (error: null, value: object) => void): void => done(null, {})
  server.addService(definition(), {
    GetProviderSchema: (_call: unknown, done: (error: null, value: object) => void) => done(null, answer),
    ValidateProviderConfig: nothing,
    ValidateResourceConfig: nothing,
    ValidateDataResourceConfig: nothing,
    ValidateEphemeralResourceConfig: nothing,
    ConfigureProvider: nothing,
    OpenEphemeralResource: (
      { request: { type_name, config } }: { readonly request: Opening },
      done: (error: null, value: object) => void,
    ) => done(null, { result: { json: madeUp(schema.ephemeral[type_name], config.msgpack) } }),
    CloseEphemeralResource: nothing,
    StopProvider: nothing,
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  return {
    source: schema.source,
    address: `127.0.0.1:${port}`,
    close: () => server.forceShutdown(),
  }
}

/** The variable of the environment by which Terraform finds them. */
export function reattach(served: readonly SchemaProvider[]): string {
  return JSON.stringify(
    Object.fromEntries(
      served.map(({ source, address }) => [
        `registry.terraform.io/${source}`,
        {
          Protocol: 'grpc',
          ProtocolVersion: 6,
          Pid: process.pid,
          Test: true,
          Addr: { Network: 'tcp', String: address },
        },
      ]),
    ),
  )
}

function definition(): ServiceDefinition {
  const loaded = loadPackageDefinition(
    loadSync(join(import.meta.dirname, 'tfplugin6.proto'), { keepCase: true }),
  ) as unknown as { readonly tfplugin6: { readonly Provider: { readonly service: ServiceDefinition } } }
  return loaded.tfplugin6.Provider.service
}

function answerOf(schema: ProviderSchema): object {
  const all = (blocks: Readonly<Record<string, BlockSchema>>) =>
    Object.fromEntries(Object.entries(blocks).map(([name, block]) => [name, { block: blockOf(block) }]))
  return {
    provider: { block: blockOf(schema.provider) },
    resource_schemas: all(schema.resource),
    data_source_schemas: all(schema.data),
    ephemeral_resource_schemas: all(schema.ephemeral),
  }
}

interface Opening {
  readonly type_name: string
  readonly config: { readonly msgpack: Buffer }
}

/** Terraform mocks resources and data, and no ephemeral values yet: what was set, and texts for what the provider chooses. */
function madeUp(block: BlockSchema | undefined, config: Buffer): Buffer {
  const texts = Object.entries(block?.attributes ?? {}).filter(
    ([, [how, type]]) => how === 'computed' && type === 'string',
  )
  const made = Object.fromEntries(texts.map(([name]) => [name, `made-up ${name}`]))
  return Buffer.from(JSON.stringify({ ...flatMap(config), ...made }))
}

/** A MessagePack map of names to what a flat resource has: nothing, true, false, small numbers, short texts. */
function flatMap(bytes: Buffer): Readonly<Record<string, unknown>> {
  let at = 0
  const next = (): unknown => {
    const mark = bytes[at++] ?? 0xc1
    if (mark < 0x80) return mark
    if (mark >= 0xa0 && mark < 0xc0) return bytes.toString('utf8', at, (at += mark - 0xa0))
    const known: Readonly<Record<number, unknown>> = { 0xc0: null, 0xc2: false, 0xc3: true }
    if (mark in known) return known[mark]
    throw new Error(`an ephemeral resource with more than plain values: ${mark}`)
  }
  const first = bytes[at++] ?? 0
  const count = first === 0xde ? bytes.readUInt16BE((at += 2) - 2) : first - 0x80
  return Object.fromEntries(Array.from({ length: count }, () => [String(next()), next()]))
}

function blockOf({ attributes, blocks }: BlockSchema): object {
  return {
    attributes: Object.entries(attributes).map(([name, attribute]) => attributeOf(name, attribute)),
    block_types: Object.entries(blocks).map(([name, block]) => nestedOf(name, block)),
  }
}

function attributeOf(name: string, [how, type]: AttributeSchema): object {
  return {
    name,
    type: Buffer.from(JSON.stringify(type)),
    required: how === 'required',
    optional: how === 'optional' || how === 'optional computed' || how === 'write-only',
    computed: how === 'computed' || how === 'optional computed',
    write_only: how === 'write-only',
  }
}

const nestings = { single: 2, list: 2, set: 3 } as const

/** One at most is a list of one, as most providers have it: references go through `[0]`. */
function nestedOf(name: string, block: NestedSchema): object {
  return {
    type_name: name,
    block: blockOf(block),
    nesting: nestings[block.nesting],
    min_items: block.required === true ? 1 : 0,
    max_items: block.nesting === 'single' ? 1 : 0,
  }
}
