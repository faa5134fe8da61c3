import type { ProjectFiles } from './files.ts'
import type { DotenvLoader } from './project-facts.ts'

/** Files with commands that start the program, or with settings of what starts it. */
const starters =
  /(?:^|\/)(?:package\.json|[Mm]akefile|GNUmakefile|[Jj]ustfile|Procfile[\w.]{0,20}|Taskfile\.ya?ml|Dockerfile[\w.-]{0,40}|(?:docker-)?compose[\w.-]{0,40}\.ya?ml|serverless\.ya?ml|\.envrc|launch\.json|[\w.@-]{1,60}\.(?:sh|service|toml|ini|cfg))$/

interface Flag {
  readonly name: string
  /** Its first group, where it has one: the file that it names. */
  readonly pattern: RegExp
  readonly file?: RegExp
}

const compose = /compose[^/]*\.ya?ml$/
const named = String.raw`["']?([\w./$(){}-]{1,120})`

const flags: readonly Flag[] = [
  {
    name: 'docker run',
    pattern: new RegExp(String.raw`\b(?:docker|podman)\b.{0,400}?--env-file[= ]${named}`),
  },
  {
    name: 'uv run --env-file',
    pattern: new RegExp(String.raw`\buv(?:icorn)?\b.{0,400}?--env-file[= ]${named}`),
  },
  { name: 'node --env-file', pattern: new RegExp(String.raw`--env-file(?:-if-exists)?[= ]${named}`) },
  { name: 'compose', file: compose, pattern: /^\s*-?\s*env_file\s*:\s*(?:\[\s*)?["']?([\w./-]{1,120})?/ },
  // Compose puts its .env in where a value refers to a variable.
  {
    name: 'compose',
    file: compose,
    pattern: /\$\{?OPENAI_|^\s*-\s*["']?OPENAI_\w+["']?\s*$|^\s*OPENAI_\w+\s*:\s*$/,
  },
  { name: 'dotenv', pattern: /(?:-r|--require|--import)[= ]["']?dotenv\/config/ },
  { name: 'dotenv-cli', pattern: /\bdotenvx?\s+(?:run\b|-[efcov]\b|--)/ },
  { name: 'env-cmd', pattern: /\benv-cmd\b/ },
  { name: 'honcho', pattern: /\bhoncho\s+(?:start|run)\b/ },
  { name: 'foreman', pattern: /\b(?:foreman|nf|overmind|hivemind)\s+(?:start|run)\b/ },
  { name: 'pipenv', pattern: /\bpipenv\s+run\b/ },
  { name: 'flask', pattern: /\bflask\b.{0,80}\brun\b/ },
  { name: 'vercel dev', pattern: /\b(?:vercel|netlify|wrangler)\s+dev\b/ },
  { name: 'bun', pattern: /\bbun\s+(?:run\s+|--\S{1,40}\s+){0,5}[\w./-]{1,80}\.[cm]?[jt]sx?\b/ },
  { name: 'vscode', file: /launch\.json$/, pattern: /"envFile"\s*:\s*"([^"]{1,200})"/ },
  { name: 'systemd EnvironmentFile', file: /\.service$/, pattern: /^EnvironmentFile=-?(\S{1,200})/ },
  { name: 'direnv', file: /\.envrc$/, pattern: /^\s*dotenv(?:_if_exists)?\b(?:\s+(\S{1,120}))?/ },
  { name: 'make', file: /akefile$/, pattern: /^\s*-?include\s+(\S{0,100}\.env\S{0,40})/ },
  { name: 'make', file: /ustfile$/, pattern: /\bset\s+dotenv-load\b/ },
  { name: 'serverless', file: /serverless\.ya?ml$/, pattern: /^useDotenv\s*:\s*true/ },
  { name: 'pytest-dotenv', file: /\.(?:toml|ini|cfg)$/, pattern: /^\s*env_files\s*=/ },
  { name: 'shell source', pattern: /(?:^|[\s;&"'])(?:source|\.)\s+["']?(\S{0,100}\.env[\w.]{0,20})/ },
]

const linesMax = 5_000
const lineMax = 2_000

/** Commands and settings that load a `.env` before the program's own code runs. */
export function dotenvFlags(files: ProjectFiles): readonly DotenvLoader[] {
  return files
    .list()
    .filter((path) => starters.test(path))
    .flatMap((path) => {
      const fitting = flags.filter(({ file }) => file?.test(path) !== false)
      return (files.read(path) ?? '').split('\n', linesMax).flatMap((line, index) => {
        const found = /^\s*(?:#|\/\/)/.test(line) ? undefined : firstMatch(fitting, line.slice(0, lineMax))
        return found === undefined
          ? []
          : [{ ...found, place: { kind: 'file', path, line: index + 1 } as const, overrides: false }]
      })
    })
}

function firstMatch(
  fitting: readonly Flag[],
  line: string,
): { readonly name: string; readonly path?: string } | undefined {
  for (const { name, pattern } of fitting) {
    const match = pattern.exec(line)
    if (match === null) continue
    const path = match[1]?.replace(/^\$\{workspaceFolder\}\//, '')
    return { name, ...(path === undefined ? {} : { path }) }
  }
  return undefined
}
