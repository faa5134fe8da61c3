import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A type of Terraform, as its protocol writes it: `"string"`, `["list", "string"]`, `["object", { … }]`. */
export type Type = string | readonly [string, Type | Readonly<Record<string, Type>>]

/** How an argument may be set, and its type. `optional computed`: where it is not set, the provider chooses. */
export type AttributeSchema = readonly [
  'required' | 'optional' | 'optional computed' | 'computed' | 'write-only',
  Type,
]

export interface BlockSchema {
  readonly attributes: Readonly<Record<string, AttributeSchema>>
  readonly blocks: Readonly<Record<string, NestedSchema>>
}

/** `single`: at most one. */
export interface NestedSchema extends BlockSchema {
  readonly nesting: 'single' | 'list' | 'set'
  readonly required?: true
}

/** What one provider takes, of the resources that the modules use; one file of `schemas/`. */
export interface ProviderSchema {
  readonly source: string
  readonly version: string
  /** The package that it was taken from. */
  readonly from: string
  readonly provider: BlockSchema
  readonly resource: Readonly<Record<string, BlockSchema>>
  readonly data: Readonly<Record<string, BlockSchema>>
  readonly ephemeral: Readonly<Record<string, BlockSchema>>
}

export const providers = ['aws', 'azurerm', 'google', 'random'] as const

export function loadSchemas(): readonly ProviderSchema[] {
  return providers.map((name) => JSON.parse(readFileSync(schemaPath(name), 'utf8')) as ProviderSchema)
}

export function schemaPath(name: string): string {
  return join(import.meta.dirname, 'schemas', `${name}.json`)
}
