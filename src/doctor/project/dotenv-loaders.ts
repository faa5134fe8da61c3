import { placeOf } from './client-calls.ts'
import { dotenvFlags } from './dotenv-flags.ts'
import type { ProjectFiles } from './files.ts'
import type { DotenvLoader, Library } from './project-facts.ts'
import type { SourceText } from './source-text.ts'

/** Frameworks that read `.env` before any code of the project runs. */
const frameworks = new Set(
  `next nuxt @sveltejs/kit astro @remix-run/dev @react-router/dev gatsby expo react-scripts dotenv-rails`.split(
    ' ',
  ),
)

/** Everything that loads a `.env` for the program: calls in the source, frameworks, flags of the commands that start it. */
export function dotenvLoaders(
  files: ProjectFiles,
  sources: readonly SourceText[],
  libraries: readonly Library[],
): readonly DotenvLoader[] {
  const ofFrameworks = libraries
    .filter(({ name }) => frameworks.has(name))
    .map(({ name, place }) => ({ name, place, overrides: false }))
  return [...sources.flatMap(dotenvCalls), ...ofFrameworks, ...dotenvFlags(files)]
}

const calls: readonly {
  readonly name: string
  readonly language: SourceText['language']
  readonly pattern: RegExp
}[] = [
  { name: 'python-dotenv', language: 'python', pattern: /(?<![\w.])(?:dotenv\.)?load_dotenv\s{0,5}\(/g },
  { name: 'environs', language: 'python', pattern: /\.read_env\s{0,5}\(/g },
  { name: 'pydantic-settings', language: 'python', pattern: /\benv_file\s{0,5}=/g },
  { name: 'python-decouple', language: 'python', pattern: /^from decouple import\b/gm },
  { name: 'dotenv', language: 'javascript', pattern: /\b(?:dotenv|dotenvx|env)\.config\s{0,5}\(/g },
  {
    name: 'dotenv',
    language: 'javascript',
    pattern: /\brequire\s{0,5}\(\s{0,5}['"]\s+['"]\s{0,5}\)\s{0,5}\.config\s{0,5}\(/g,
  },
  { name: 'loadEnvFile', language: 'javascript', pattern: /\b(?:process\.)?loadEnvFile\s{0,5}\(/g },
  { name: '@nestjs/config', language: 'javascript', pattern: /\bConfigModule\.forRoot\s{0,5}\(/g },
  { name: '@next/env', language: 'javascript', pattern: /\bloadEnvConfig\s{0,5}\(/g },
  { name: 'godotenv', language: 'go', pattern: /\bgodotenv\.(?:Load|Overload)\s{0,5}\(/g },
  { name: 'dotenv', language: 'ruby', pattern: /\bDotenv\.(?:load|overload)\b!?/g },
  {
    name: 'dotenvy',
    language: 'rust',
    pattern: /\b(?:dotenvy|dotenv)(?:::(?:dotenv|from_path|from_filename|load))\s{0,5}\(/g,
  },
  { name: 'phpdotenv', language: 'php', pattern: /\bDotenv::create\w{1,20}\s{0,5}\(/g },
]

/** Of those who load when the program's own code calls them. */
export const callNames: ReadonlySet<string> = new Set(calls.map(({ name }) => name))

/** Where this file loads a `.env`, in order. */
export function dotenvCalls(source: SourceText): readonly DotenvLoader[] {
  return [
    ...calls.filter((one) => one.language === source.language).flatMap((one) => ofPattern(source, one)),
    ...imports(source),
  ]
}

function ofPattern(source: SourceText, { name, pattern }: (typeof calls)[number]): readonly DotenvLoader[] {
  return Array.from(source.bare.matchAll(pattern), (match) => {
    const end = match.index + match[0].length
    const args = source.bare.slice(end, end + 300)
    return {
      name,
      place: placeOf(source, match.index),
      ...pathIn(source, match.index, end + args.search(/\)|$/)),
      overrides: /override\s{0,5}[:=]\s{0,5}true\b/i.test(args.split(')')[0] ?? '') || /over/i.test(match[0]),
    }
  })
}

/** The file that a call names, where it does. */
function pathIn(source: SourceText, from: number, to: number): { readonly path?: string } {
  const literal = source.literals.find(
    (one) => one.start >= from && one.end <= to && /\.env|(?:^|\/)env$/.test(one.value),
  )
  return literal === undefined ? {} : { path: literal.value.slice(0, 200) }
}

/** `import 'dotenv/config'` loads when it is imported, before the rest of the file. */
function imports(source: SourceText): readonly DotenvLoader[] {
  if (source.language !== 'javascript' && source.language !== 'ruby') return []
  return source.literals
    .filter(({ value }) => /^(?:dotenv\/(?:config|load)(?:\.js)?|@dotenvx\/dotenvx\/config)$/.test(value))
    .map((literal) => ({ name: literal.value, place: placeOf(source, literal.start), overrides: false }))
}
