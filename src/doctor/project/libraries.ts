import { isInAside } from './aside.ts'
import type { ProjectFiles } from './files.ts'
import type { Library, ProjectKind } from './project-facts.ts'

type Ecosystem = Library['ecosystem']

const kinds: readonly (readonly [ProjectKind, RegExp])[] = [
  ['node', /(?:^|\/)(?:package\.json|deno\.jsonc?)$/],
  [
    'python',
    /(?:^|\/)(?:requirements[\w.-]{0,40}\.(?:txt|in)|pyproject\.toml|setup\.(?:py|cfg)|Pipfile|environment\.ya?ml)$/,
  ],
  ['go', /(?:^|\/)go\.mod$/],
  ['ruby', /(?:^|\/)(?:Gemfile|[\w-]{1,60}\.gemspec)$/],
  ['rust', /(?:^|\/)Cargo\.toml$/],
  ['php', /(?:^|\/)composer\.json$/],
  ['java', /(?:^|\/)(?:pom\.xml|build\.gradle(?:\.kts)?)$/],
  ['dotnet', /\.(?:cs|fs)proj$/],
]

const sourceKinds: readonly (readonly [ProjectKind, RegExp])[] = [
  ['node', /\.(?:[cm]?[jt]s|[jt]sx)$/],
  ['python', /\.py$/],
  ['go', /\.go$/],
  ['ruby', /\.rb$/],
  ['rust', /\.rs$/],
  ['php', /\.php$/],
  ['java', /\.(?:java|kt)$/],
  ['dotnet', /\.cs$/],
]

/** Of which kinds a project is: by its manifests, or where it has none, by its sources. */
export function projectKinds(paths: readonly string[]): readonly ProjectKind[] {
  const found = [kinds, sourceKinds].map((table) =>
    table.filter(([, pattern]) => paths.some((path) => pattern.test(path))).map(([kind]) => kind),
  )
  return found.find((names) => names.length > 0) ?? []
}

/** Whom the doctor asks about. */
const watched = new Set(
  `openai dotenv dotenv-cli dotenvx @dotenvx/dotenvx python-dotenv dotenv-rails dotenvy next nuxt @sveltejs/kit astro
  @remix-run/dev @react-router/dev gatsby expo react-scripts @nestjs/config pydantic-settings python-decouple environs
  django-environ langchain-openai @langchain/openai @ai-sdk/openai litellm ruby-openai async-openai
  github.com/openai/openai-go github.com/sashabaranov/go-openai github.com/joho/godotenv`.split(/\s+/),
)

/** The dependencies that have to do with OpenAI or with `.env`, from every manifest that is not ignored. */
export function findLibraries(files: ProjectFiles): readonly Library[] {
  return files
    .list()
    .filter((path) => files.isIgnored(path) !== true && !isInAside(path))
    .flatMap((path) => ofManifest(files, path))
}

function ofManifest(files: ProjectFiles, path: string): readonly Library[] {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const reader = readers.find((one) => one.file.test(name))
  const text = reader === undefined ? undefined : files.read(path)
  if (reader === undefined || text === undefined) return []
  return text.split('\n', linesMax).flatMap((line, index) =>
    reader.lines
      .flatMap((pattern) => [...line.slice(0, lineMax).matchAll(pattern)])
      .flatMap(([, found = '', wanted = '']) => {
        const library = found
          .toLowerCase()
          .replaceAll('_', '-')
          .replace(/\/v\d+$/, '')
        if (!watched.has(library)) return []
        return [libraryOf(files, reader.ecosystem, library, wanted.trim(), { path, line: index + 1 })]
      }),
  )
}

const linesMax = 10_000
/** A package.json may be one line. */
const lineMax = 20_000

function libraryOf(
  files: ProjectFiles,
  ecosystem: Ecosystem,
  name: string,
  wanted: string,
  at: { readonly path: string; readonly line: number },
): Library {
  const installed =
    ecosystem === 'npm' || ecosystem === 'python' ? files.installed(ecosystem, name) : undefined
  const place = { kind: 'file', ...at, name } as const
  return { ecosystem, name, wanted, place, ...(installed === undefined ? {} : { installed }) }
}

interface Reader {
  readonly file: RegExp
  readonly ecosystem: Ecosystem
  /** A dependency's name, and the version that is asked for. */
  readonly lines: readonly RegExp[]
}

const readers: readonly Reader[] = [
  {
    file: /^package\.json$/,
    ecosystem: 'npm',
    lines: [/"([@\w./-]{2,80})"\s{0,9}:\s{0,9}"([\^~<>=\d*xv][^"]{0,60}|latest)"/g],
  },
  {
    file: /^requirements[\w.-]{0,40}\.(?:txt|in)$/,
    ecosystem: 'python',
    lines: [
      /^\s{0,9}([A-Za-z][\w.-]{1,60})(?:\[[^\]]{0,60}\])?\s{0,9}([=<>!~][^#;]{0,60})?\s{0,9}(?:[#;]|$)/g,
    ],
  },
  {
    file: /^(?:pyproject\.toml|setup\.(?:py|cfg)|Pipfile)$/,
    ecosystem: 'python',
    lines: [
      /["'\s]([A-Za-z][\w.-]{1,60})(?:\[[^\]]{0,60}\])?\s{0,9}([=<>!~]{1,2}\s?[\d*][^"']{0,60})?["']/g,
      /^\s{0,9}"?([A-Za-z][\w.-]{1,60})"?\s{0,9}=\s{0,9}["']([^"']{1,60})["']/g,
    ],
  },
  {
    file: /^go\.mod$/,
    ecosystem: 'go',
    lines: [/^\s{0,9}(?:require\s+)?([\w.-]{1,80}\/[\w./-]{1,120})\s{1,9}v([\w.+-]{1,60})/g],
  },
  {
    file: /^Gemfile$/,
    ecosystem: 'ruby',
    lines: [/^\s{0,9}gem\s{1,9}["']([\w-]{1,60})["'](?:\s*,\s*["']([^"']{1,40})["'])?/g],
  },
  {
    file: /^Cargo\.toml$/,
    ecosystem: 'rust',
    lines: [/^\s{0,9}([\w-]{1,60})\s{0,9}=\s{0,9}(?:\{\s*version\s*=\s*)?"([^"]{1,40})"/g],
  },
]
