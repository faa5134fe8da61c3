import type { Place } from '../finding.ts'
import type { DotenvLoader } from '../project/project-facts.ts'
import type { DialectName } from './dialects.ts'

/** What a loader reads, in the order in which it wins: the first file that sets a variable has it. */
export interface Loading {
  readonly loader: DotenvLoader
  readonly dialect: DialectName
  /** It puts other variables in where a value has `${NAME}`. */
  readonly expands: boolean
  readonly paths: readonly string[]
}

type Habit = {
  readonly names: RegExp
  readonly dialect: DialectName
  readonly expands?: true
  /** `.env.local` and its like as well. */
  readonly isFramework?: true
  /** Where it looks: where the program starts, or from the source's folder upwards. */
  readonly from: 'start' | 'upwards'
}

const habits: readonly Habit[] = [
  { names: /docker run/, dialect: 'docker', from: 'start' },
  { names: /compose/, dialect: 'compose', from: 'start' },
  { names: /direnv|shell|source|make|systemd/, dialect: 'shell', from: 'start' },
  { names: /node --env-file|loadEnvFile/, dialect: 'node', from: 'start' },
  {
    names: /python|pydantic|decouple|environ|flask|pipenv|pytest|uv run|honcho/,
    dialect: 'python',
    from: 'upwards',
  },
  {
    names:
      /^dotenv(?:\/|-cli|-safe|-rails|$)|env-cmd|foreman|godotenv|dotenvy|phpdotenv|nestjs|vscode|serverless/,
    dialect: 'dotenv',
    from: 'start',
  },
]
/** Next.js, Vite, Nuxt, Astro, SvelteKit, Remix, Bun, dotenvx and whoever is like them. */
const framework: Habit = { names: /./, dialect: 'dotenv', expands: true, isFramework: true, from: 'start' }

export interface Grounds {
  /** Whether there is such a file. */
  readonly has: (path: string) => boolean
  /** Every dotenv file. */
  readonly all: readonly string[]
  /** The lines around a place, where it is in a file. */
  readonly around: (place: Place) => string
  /** `NODE_ENV`, else `development`. */
  readonly mode: string
  /** Files by the name in the folders above, nearest first. */
  readonly above: (name: string) => readonly string[]
}

export function loadingOf(loader: DotenvLoader, grounds: Grounds): Loading {
  const habit = habits.find(({ names }) => names.test(loader.name)) ?? framework
  const paths = isComputed(loader, grounds) ? [] : candidates(loader, habit, grounds)
  const guessed = isComputed(loader, grounds) ? sameNamed(loader, grounds) : []
  return {
    loader,
    dialect: habit.dialect,
    expands: habit.expands === true,
    paths: [...new Set([...paths, ...guessed])].filter(grounds.has),
  }
}

function candidates(loader: DotenvLoader, habit: Habit, grounds: Grounds): readonly string[] {
  const source = loader.place.kind === 'file' ? folderOf(loader.place.path) : ''
  const folders = foldersFor(habit, source, grounds)
  const { path } = loader
  if (path !== undefined) return [...folders, source, ''].map((folder) => joined(folder, path))
  const { mode } = grounds
  const names =
    habit.isFramework === true
      ? [`.env.${mode}.local`, '.env.local', `.env.${mode}`, '.env', '.dev.vars']
      : usual(habit)
  const above = habit.from === 'upwards' ? grounds.above('.env') : []
  // What `env_file` lists stands in the lines below it, and is beside the file or not far.
  const listed =
    habit.dialect === 'compose' ? grounds.all.filter((one) => folders.includes(folderOf(one))) : []
  return [...folders.flatMap((folder) => names.map((name) => joined(folder, name))), ...above, ...listed]
}

const computed = /\b(?:join|resolve|Path|parents?|dirname|__file__|import\.meta|BASE_DIR|ROOT\w*)\b|\$\{|\$\(/

/** The path is put together from pieces, so that nobody knows without running it. */
function isComputed(loader: DotenvLoader, { around }: Grounds): boolean {
  if (loader.path?.includes('$') === true) return true
  const isCall = !/^(?:node|docker|compose|next|nuxt|shell)\b/.test(loader.name)
  return isCall && computed.test(around(loader.place))
}

/** `$STAGE.env` is any file that ends so. */
function sameNamed({ path = '.env' }: DotenvLoader, { all, above }: Grounds): readonly string[] {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const pieces = name
    .split(/\$(?:\{[^}]*\}?|\([^)]*\)?|\w+)/)
    .map((piece) => piece.replaceAll(/\W/g, String.raw`\$&`))
  const pattern = new RegExp(`^${pieces.join('[^/]*')}$`)
  return [...all.filter((one) => pattern.test(one.slice(one.lastIndexOf('/') + 1))), ...above(name)]
}

function usual(habit: Habit): readonly string[] {
  return habit.dialect === 'shell' ? ['.envrc', '.env'] : ['.env']
}

function foldersFor(habit: Habit, source: string, grounds: Grounds): readonly string[] {
  const upwards = upwardsFrom(source)
  if (habit.from === 'upwards') return upwards
  // A program is started where its manifest is; without one nobody knows, and next to its source is as likely.
  const home = upwards.find((folder) => manifests.some((name) => grounds.has(joined(folder, name)))) ?? source
  return [...new Set([home, ''])]
}

const manifests = [
  'package.json',
  'deno.json',
  'deno.jsonc',
  'Cargo.toml',
  'go.mod',
  'Gemfile',
  'composer.json',
]

/** The folder and all above it, up to the project's own. */
function upwardsFrom(folder: string): readonly string[] {
  const parts = folder === '' ? [] : folder.split('/')
  return Array.from({ length: parts.length + 1 }, (_, up) => parts.slice(0, parts.length - up).join('/'))
}

export function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}

/** `./` and `../` are taken out as far as the project reaches. */
export function joined(folder: string, path: string): string {
  const parts: string[] = folder === '' ? [] : folder.split('/')
  for (const part of path.split(/[\\/]/)) {
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else if (part !== '.' && part !== '') parts.push(part)
  }
  return parts.join('/')
}
