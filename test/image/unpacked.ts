import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildah } from './builder.ts'
import { ran } from './programs.ts'

/** What a runtime reads of an image's configuration. */
export interface ImageConfig {
  readonly User: string
  readonly Env: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly WorkingDir: string
  readonly StopSignal: string
  readonly Labels: Readonly<Record<string, string>>
  readonly Healthcheck: { readonly Test: readonly string[] }
  readonly Volumes: Readonly<Record<string, object>>
}

export interface Unpacked {
  readonly config: ImageConfig
  /** Everything that is pushed with it besides its layers, as text. */
  readonly documents: string
  /** The layers, lowest first, as tar files. */
  readonly layers: readonly string[]
  /** A folder with what all of them make together. */
  readonly root: string
}

/** An image as a registry would get it. */
export function unpack(folder: string, tag: string): Unpacked {
  const out = join(folder, 'pushed')
  buildah(folder, ['push', '--quiet', '--disable-compression', tag, `dir:${out}`])
  const read = (digest: string): string => readFileSync(join(out, digest.replace('sha256:', '')), 'utf8')
  const manifestText = readFileSync(join(out, 'manifest.json'), 'utf8')
  const manifest = JSON.parse(manifestText) as {
    readonly config: { readonly digest: string }
    readonly layers: readonly { readonly digest: string }[]
  }
  const configText = read(manifest.config.digest)
  const layers = manifest.layers.map(({ digest }) => join(out, digest.replace('sha256:', '')))
  const root = join(folder, 'root')
  mkdirSync(root, { recursive: true })
  for (const layer of layers)
    ran(['tar', '--extract', '--numeric-owner', '--same-owner', '--file', layer, '--directory', root])
  const { config } = JSON.parse(configText) as { readonly config: ImageConfig }
  return { config, documents: manifestText + configText, layers, root }
}

export interface Entry {
  readonly mode: string
  readonly owner: string
  readonly bytes: number
  readonly path: string
}

export function entriesOf(layer: string): readonly Entry[] {
  return ran(['tar', '--list', '--verbose', '--numeric-owner', '--file', layer])
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [mode = '', owner = '', bytes = '', , , ...path] = line.split(/ +/)
      return { mode, owner, bytes: Number(bytes), path: path.join(' ').replace(/ -> .*$/, '') }
    })
}
