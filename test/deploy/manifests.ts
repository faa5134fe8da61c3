import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
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

interface Operation {
  readonly op: string
  readonly path: string
  readonly value?: unknown
}

/** The StatefulSet that deploy/kubernetes-persistent makes of the Deployment, as kustomize does (RFC 6902, as far as it is used). */
export function persistentSet(): Manifest {
  const text = readFileSync(join(repository, 'deploy/kubernetes-persistent/kustomization.yaml'), 'utf8')
  const { patches } = parse(text) as {
    readonly patches: readonly [{ readonly target: Partial<Manifest>; readonly patch: string }]
  }
  const [{ target, patch }] = patches
  const made = structuredClone(readManifests('deployment.yaml').find(({ kind }) => kind === target.kind))
  if (made === undefined) throw new Error(`there is no ${target.kind}`)
  for (const operation of parse(patch) as readonly Operation[]) operate(made, operation)
  return made
}

function operate(document: object, { op, path, value }: Operation): void {
  const keys = path.slice(1).split('/')
  const last = keys.pop() ?? ''
  const place = keys.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], document)
  const fields = place as Record<string, unknown>
  if (op !== 'add' && !(last in fields)) throw new Error(`there is no ${path}`)
  if (op === 'add' || op === 'replace') fields[last] = value
  else if (op === 'test' && fields[last] !== value) throw new Error(`${path} is not ${String(value)}`)
  else if (op === 'remove' && Array.isArray(place)) place.splice(Number(last), 1)
  else if (op === 'remove') delete fields[last]
}
