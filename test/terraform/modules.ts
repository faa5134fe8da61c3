import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { Attribute, Block, Body, Expression } from './hcl.ts'
import { textOf } from './hcl.ts'

export const terraformFolder = resolve(import.meta.dirname, '../../terraform')

/** One folder of .tf files. */
export interface Module {
  readonly folder: string
  /** From `terraform/`: `modules/aws/network`. */
  readonly name: string
  readonly files: readonly File[]
  readonly blocks: readonly Placed[]
}

export interface File {
  readonly path: string
  readonly text: string
}

/** A block at the top of a file, and where it is. */
export interface Placed extends Block {
  readonly file: string
}

export type Parse = (text: string, path: string) => Body

/** Every folder below `folder` that has .tf files, in order. */
export function moduleFolders(folder = terraformFolder): readonly string[] {
  const entries = readdirSync(folder, { withFileTypes: true })
  const isModule = entries.some((entry) => entry.isFile() && entry.name.endsWith('.tf'))
  const below = entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .toSorted()
    .flatMap((name) => moduleFolders(join(folder, name)))
  return [...(isModule ? [folder] : []), ...below]
}

export function loadModule(folder: string, parse: Parse): Module {
  const names = readdirSync(folder).filter((name) => name.endsWith('.tf'))
  const files = names
    .toSorted()
    .map((name) => ({ path: join(folder, name), text: readFileSync(join(folder, name), 'utf8') }))
  return moduleOf(folder, files, parse)
}

export function moduleOf(folder: string, files: readonly File[], parse: Parse): Module {
  const blocks = files.flatMap(({ path, text }) =>
    parse(text, path).blocks.map((block): Placed => ({ ...block, file: relative(terraformFolder, path) })),
  )
  return { folder, name: relative(terraformFolder, folder), files, blocks }
}

export function ofType(module: Module, type: string): readonly Placed[] {
  return module.blocks.filter((block) => block.type === type)
}

export function attribute(body: Body, name: string): Attribute | undefined {
  return body.attributes.find((one) => one.name === name)
}

export function valueOf(body: Body, name: string): Expression | undefined {
  return attribute(body, name)?.value
}

export function textIn(body: Body, name: string): string | undefined {
  return textOf(valueOf(body, name))
}

/** Blocks of a type inside a body, those made by `dynamic` among them. */
export function inner(body: Body, type: string): readonly Block[] {
  return body.blocks.flatMap((block) => {
    if (block.type === type) return [block]
    if (block.type !== 'dynamic' || block.labels[0] !== type) return []
    return block.blocks.filter((one) => one.type === 'content')
  })
}

/** `aws_kms_key.this`, `data.aws_region.current`. */
export function addressOf(block: Block): string {
  const address = block.labels.join('.')
  return block.type === 'resource' ? address : `${block.type}.${address}`
}

export function placeOf(block: Placed): string {
  return `${block.file}:${block.line} ${addressOf(block)}`
}
