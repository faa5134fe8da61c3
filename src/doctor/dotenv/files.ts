import { Secret } from '../../core/secret.ts'
import type { DotenvFile } from '../facts.ts'
import type { Place } from '../finding.ts'
import type { ProjectFiles } from '../project/files.ts'
import type { DotenvLoader } from '../project/project-facts.ts'
import { type DialectName, dialects } from './dialects.ts'
import { expand } from './expand.ts'
import { findDotenvFaults } from './faults.ts'
import { type Loading, loadingOf } from './loading.ts'
import { type DotenvEntry, readDotenv } from './read.ts'

/** A file is read once for its facts; its plain values go no further than to `onValue`. */
export interface DotenvReading {
  readonly files: ProjectFiles
  readonly env: Readonly<Record<string, string | undefined>>
  readonly loaders: readonly DotenvLoader[]
  /** For files that nobody loads. */
  readonly usualDialect: DialectName
}

/** A dotenv file with its values as they are, for those who need them as texts. */
export interface OpenDotenvFile {
  readonly file: DotenvFile
  readonly values: Readonly<Record<string, string>>
}

const named = /^(?:\.env(?:\..+)?|\.envrc|\.dev\.vars|\.flaskenv|[\w-]+\.env)$/
/** Made to be copied, or no longer read by anyone. */
const template =
  /(?:^|[._-])(?:examples?|samples?|templates?|tpl|dist|defaults?|schema|ba[ck]k?|backup|old|orig|save|vault|keys|me)(?:$|[._-])/i
const aside =
  /(?:^|\/)(?:tests?|__tests__|specs?|fixtures?|__fixtures__|examples?|samples?|templates?|docs?)\//i
/** Beyond any project that is one program. */
export const dotenvFilesMax = 200

/** First those that are loaded, in the order in which they win, then the others. */
export function openDotenvFiles(reading: DotenvReading): readonly OpenDotenvFile[] {
  const { files, env } = reading
  const listed = new Set(files.list())
  const above = (name: string) => files.above?.(name) ?? []
  const all = [...listed].filter(isDotenvPath)
  const grounds = {
    has: (path: string) => listed.has(path) || (path.startsWith('../') && files.read(path) !== undefined),
    all,
    around: (place: Place) => around(files, place),
    mode: env['NODE_ENV'] ?? 'development',
    above,
  }
  const loaders = [...reading.loaders, ...ofPlatforms([...listed])]
  const loadings = loaders.map((loader) => loadingOf(loader, grounds))
  const loose = [...all, ...above('.env')]
  const paths = [...new Set([...loadings.flatMap((loading) => loading.paths), ...loose])]
  return paths.slice(0, dotenvFilesMax).flatMap((path) => {
    const text = files.read(path)
    const of = loadings.filter((loading) => loading.paths.includes(path))
    return text === undefined ? [] : [openFile({ path, text, loadings: of }, reading)]
  })
}

/** Their tools for development load `.env` files by themselves, without a line about it anywhere. */
const platformFiles: readonly (readonly [RegExp, string])[] = [
  [/(?:^|\/)(?:vercel\.json|vercel\.ts|\.vercel\/project\.json)$/, 'vercel dev'],
  [/(?:^|\/)netlify\.toml$/, 'netlify dev'],
  [/(?:^|\/)wrangler\.(?:toml|jsonc?)$/, 'wrangler dev'],
  [/(?:^|\/)Procfile(?:\.dev)?$/, 'foreman'],
]

function ofPlatforms(paths: readonly string[]): readonly DotenvLoader[] {
  return paths.flatMap((path) =>
    platformFiles
      .filter(([pattern]) => pattern.test(path))
      .map(([, name]) => ({ name, place: { kind: 'file', path } as const, overrides: false })),
  )
}

/** The line and the next ones, where a call goes on; and the one before, where a name may be given to its path. */
function around(files: ProjectFiles, place: Place): string {
  if (place.kind !== 'file' || place.line === undefined) return ''
  const lines = (files.read(place.path) ?? '').split('\n')
  return lines.slice(Math.max(0, place.line - 2), place.line + 2).join('\n')
}

export function isDotenvPath(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return named.test(name) && !template.test(name.replace(/^\.env/, '')) && !aside.test(path)
}

function openFile(
  found: { readonly path: string; readonly text: string; readonly loadings: readonly Loading[] },
  reading: DotenvReading,
): OpenDotenvFile {
  const { path, text, loadings } = found
  const dialect = loadings[0]?.dialect ?? (path.endsWith('.envrc') ? 'shell' : reading.usualDialect)
  const expands = dialects[dialect].expands || loadings.some((loading) => loading.expands)
  const entries = readDotenv(text, dialects[dialect])
  const values = valuesOf(entries, expands ? reading.env : undefined)
  const faults = faultsOf(text, loadings.length === 0 ? [{ dialect, expands }] : loadings)
  const file: DotenvFile = {
    path,
    loaders: loadings.map(({ loader }) => loader),
    dialect,
    variables: entries.map((entry, index) => {
      const value = values[index] ?? ''
      const { name, line, column } = entry
      const secret = new Secret(value)
      const meant = faults.some((fault) => fault.line === line) ? new Secret(withoutWrapping(value)) : secret
      return { name, text: secret, meant, line, column, isReference: reference.test(value) }
    }),
    faults,
  }
  return { file, values: Object.fromEntries(entries.map(({ name }, index) => [name, values[index] ?? ''])) }
}

/** Quotes and comments that the loader left on. */
function withoutWrapping(value: string): string {
  return value.replace(/\s+#.*$/s, '').replaceAll(/^["'`]|["'`\r]+$/g, '')
}

/** `op://…`, `vault://…`; an address of the Web is a value like any other. */
const reference = /^(?:(?!https?:)[a-z][a-z0-9+.-]*:\/\/|encrypted:|ENC\[)/i

function valuesOf(entries: readonly DotenvEntry[], env: DotenvReading['env'] | undefined): readonly string[] {
  if (env === undefined) return entries.map(({ value }) => value)
  const known = new Map<string, string>()
  return entries.map(({ name, value, quote }) => {
    const text = quote === "'" ? value : expand(value, (other) => env[other] ?? known.get(other))
    known.set(name, text)
    return text
  })
}

/** A line may be wrong for one of its readers only; it is told once. */
function faultsOf(
  text: string,
  readers: readonly Pick<Loading, 'dialect' | 'expands'>[],
): DotenvFile['faults'] {
  const byLine = new Map<number, DotenvFile['faults'][number]>()
  for (const { dialect, expands } of readers)
    for (const fault of findDotenvFaults(text, dialect))
      if (!byLine.has(fault.line) && !(expands && fault.fault === 'not_expanded'))
        byLine.set(fault.line, fault)
  return [...byLine.values()]
}
