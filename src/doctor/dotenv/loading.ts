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
  {
    names:
      /python|pipenv|pydantic|decouple|environ|flask|uvicorn|dynaconf|honcho|uv\b|litellm|chainlit|django/i,
    dialect: 'python',
    from: 'upwards',
  },
  { names: /docker run|podman|^docker$/i, dialect: 'docker', from: 'start' },
  { names: /compose/i, dialect: 'compose', from: 'start' },
  { names: /direnv|shell|source|make|^\.envrc$/i, dialect: 'shell', from: 'start' },
  { names: /node|tsx|env-file/i, dialect: 'node', from: 'start' },
  {
    names: /^(?:@?dotenv(?:-safe|-cli)?|env-cmd|foreman|nf|procfile.*|overmind|hivemind)$/i,
    dialect: 'dotenv',
    from: 'start',
  },
]
/** Next.js, Vite, Nuxt, Astro, SvelteKit, Remix, Bun, dotenv-flow and whoever is like them. */
const framework: Habit = { names: /./, dialect: 'dotenv', expands: true, isFramework: true, from: 'start' }

export interface Grounds {
  /** Whether there is such a file. */
  readonly has: (path: string) => boolean
  /** `NODE_ENV`, else `development`. */
  readonly mode: string
  /** Files by the name in the folders above, nearest first. */
  readonly above: (name: string) => readonly string[]
}

export function loadingOf(loader: DotenvLoader, grounds: Grounds): Loading {
  const habit = habits.find(({ names }) => names.test(loader.name)) ?? framework
  const source = loader.place.kind === 'file' ? folderOf(loader.place.path) : ''
  const { mode } = grounds
  const names = habit.isFramework
    ? [`.env.${mode}.local`, '.env.local', `.env.${mode}`, '.env']
    : usual(habit)
  const folders = foldersFor(habit, source, grounds)
  const paths =
    loader.path === undefined
      ? folders.flatMap((folder) => names.map((name) => joined(folder, name)))
      : [...new Set([...folders, source, ''])].map((folder) => joined(folder, loader.path ?? ''))
  const above = habit.from === 'upwards' && loader.path === undefined ? grounds.above('.env') : []
  return {
    loader,
    dialect: habit.dialect,
    expands: habit.expands === true,
    paths: [...new Set([...paths, ...above])].filter((path) => grounds.has(path)),
  }
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
