import type { Locked } from './lockfile.ts'

/** What of CycloneDX is looked at. */
export interface Sbom {
  readonly bomFormat: string
  readonly components: readonly {
    readonly purl?: string
    readonly hashes?: readonly unknown[]
    readonly licenses?: readonly unknown[]
  }[]
}

/** What is installed with Keyturn and is not in the list as a package with its hash and licence. */
export function missingFrom({ bomFormat, components }: Sbom, packages: readonly Locked[]): readonly string[] {
  if (bomFormat !== 'CycloneDX') return ['the format CycloneDX']
  const listed = new Set(
    components
      .filter(({ hashes = [], licenses = [] }) => hashes.length > 0 && licenses.length > 0)
      .map(({ purl = '' }) => decodeURIComponent(purl)),
  )
  return packages
    .filter(({ isProduction, name, version }) => isProduction && !listed.has(`pkg:npm/${name}@${version}`))
    .map(({ name, version }) => `${name}@${version}`)
}
