import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname } from 'node:path'

/** Keyturn's own folder, where its package.json is: the same from `src` as from `dist`, wherever the build puts a module. */
export function packageFolder(): string {
  return dirname(manifestPath())
}

export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(manifestPath(), 'utf8'))
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : undefined
  return typeof version === 'string' ? version : 'unknown'
}

function manifestPath(): string {
  const path = findPackageJSON(import.meta.url)
  if (path === undefined) throw new Error(`no package.json is above ${import.meta.url}`)
  return path
}
