import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { Manifest } from './schemas.ts'

export const repository: string = join(import.meta.dirname, '..', '..')
const folder = join(repository, 'deploy', 'kubernetes')

/** The documents of a file of manifests, as kubectl reads them. */
export function documentsOf(text: string): readonly Manifest[] {
  return parseAllDocuments(text)
    .map((document) => {
      if (document.errors[0] !== undefined) throw document.errors[0]
      return document.toJS() as Manifest | null
    })
    .filter((one) => one !== null)
}

export function readManifests(path: string): readonly Manifest[] {
  return documentsOf(readFileSync(join(folder, path), 'utf8'))
}

const isManifest = (name: string): boolean => name.endsWith('.yaml') && name !== 'kustomization.yaml'

export const ownFiles: readonly string[] = readdirSync(folder).filter(isManifest)
export const exampleFiles: readonly string[] = readdirSync(join(folder, 'examples'))
  .filter(isManifest)
  .map((name) => `examples/${name}`)
