import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { blocks } from './blocks.ts'

export const repository: string = resolve(import.meta.dirname, '..', '..')

export interface Page {
  /** From the repository, with forward slashes: `docs/tasks/rotate.md`. */
  readonly path: string
  readonly text: string
}

/** Every page that users read: those beside the package and all of docs. */
export function pages(): readonly Page[] {
  const inDocs = readdirSync(join(repository, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
    .sort()
  return ['README.md', 'CHANGELOG.md', 'SECURITY.md', ...inDocs].map((path) => ({
    path: relative('.', path).split(sep).join('/'),
    text: readFileSync(join(repository, path), 'utf8'),
  }))
}

const marked = /(<!-- generated: ([a-z ]+) -->\n)[\s\S]*?(\n<!-- end -->)/g

/** The page as it should be: what is between the marks made anew. */
export function made(text: string): string {
  return text.replaceAll(marked, (_all, begin: string, name: string, end: string) => {
    const block = blocks[name]
    if (block === undefined) throw new Error(`there is no generated block ${name}: see test/docs/blocks.ts`)
    return `${begin}\n${block()}\n${end}`
  })
}

/** The names of the blocks that a page holds. */
export function blocksOf(text: string): readonly string[] {
  return [...text.matchAll(marked)].map(([, , name = '']) => name)
}
