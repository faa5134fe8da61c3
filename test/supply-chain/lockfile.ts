import { readFileSync } from 'node:fs'

export const repository = new URL('../../', import.meta.url)

export interface Locked {
  readonly name: string
  readonly version: string
  readonly licence: string
  /** Installed with Keyturn; otherwise only to develop it, or by name where a store needs it. */
  readonly isProduction: boolean
  readonly integrity: string | undefined
  readonly resolved: string | undefined
  readonly hasInstallScript: boolean
}

interface Entry {
  readonly version?: string
  readonly license?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly integrity?: string
  readonly resolved?: string
  readonly hasInstallScript?: boolean
  readonly name?: string
}

export interface Lockfile {
  readonly packages: Readonly<Record<string, Entry & Readonly<Record<string, unknown>>>>
}

export function readLockfile(): Lockfile {
  return JSON.parse(readFileSync(new URL('package-lock.json', repository), 'utf8')) as Lockfile
}

/** Every package of the lockfile, one for each name and version. */
export function lockedPackages({ packages }: Lockfile): readonly Locked[] {
  const found = new Map<string, Locked>()
  for (const [path, entry] of Object.entries(packages)) {
    if (path === '') continue
    const name = entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    const version = entry.version ?? ''
    const isProduction = entry.dev !== true && entry.devOptional !== true
    const known = found.get(`${name}@${version}`)
    found.set(`${name}@${version}`, {
      name,
      version,
      licence: entry.license ?? 'none is stated',
      isProduction: isProduction || known?.isProduction === true,
      integrity: entry.integrity,
      resolved: entry.resolved,
      hasInstallScript: entry.hasInstallScript === true,
    })
  }
  return [...found.values()].sort((left, right) => order(left).localeCompare(order(right), 'en'))
}

function order({ name, version }: Locked): string {
  return `${name}@${version}`
}
