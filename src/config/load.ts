import { basename, dirname, join, resolve } from 'node:path'

import { KeyturnError } from '../core/errors.ts'
import { buildConfig } from './build.ts'
import { type ConfigDocument, readDocument, secretsIn } from './document.ts'
import { isSafeUrl } from './fields.ts'
import { defaultListen, isLoopback, listenShape, parseListen } from './listen.ts'
import { buildPolicy } from './policy.ts'
import { problemsOf } from './problems.ts'
import { fileSchema, policySchema, rateLimitsSchema } from './schema.ts'
import { looksSecret } from './secrets.ts'
import type { Config, ConfigProblem, ConfigSources, IssuerConfig, ListenConfig } from './types.ts'

export const configFileName = 'keyturn.yaml'

/** More problems than this are counted, not listed: one indentation gone wrong can make hundreds. */
export const problemsMax = 20

export type ConfigCheck =
  | {
      readonly kind: 'valid'
      readonly config: Config
      /** What is allowed and hardly meant. */
      readonly warnings?: readonly ConfigProblem[]
      /** As written; absent without a file. */
      readonly document?: ConfigDocument
    }
  | { readonly kind: 'invalid'; readonly source: string; readonly problems: readonly ConfigProblem[] }
  | { readonly kind: 'missing'; readonly message: string; readonly fix: string }

/**
 * The configuration: of `configPath`, else of KEYTURN_CONFIG, else of ./keyturn.yaml, else of keyturn.yaml in the home
 * folder; without a file, of OPENAI_API_KEY alone. Throws `config_invalid` with every problem and its line, or
 * `config_missing` with how to begin. `warn`: told of what is allowed and hardly meant.
 */
export function loadConfig(sources: ConfigSources, warn?: (warning: string) => void): Config {
  const check = checkConfig(sources)
  if (check.kind === 'missing') throw new KeyturnError('config_missing', check.message, { fix: check.fix })
  if (check.kind === 'invalid') throw invalid(check.source, check.problems)
  for (const one of (check.warnings ?? []).slice(0, problemsMax))
    warn?.(describeProblem(check.config.source, one))
  return check.config
}

function invalid(source: string, problems: readonly ConfigProblem[]): KeyturnError {
  const listed = problems.slice(0, problemsMax).map((problem) => describeProblem(source, problem))
  const more = problems.length - listed.length
  if (more > 0) listed.push(`and ${more} more`)
  return new KeyturnError('config_invalid', listed.join('\n'), {
    fix: `Correct ${source}; 'keyturn config check' looks at it without starting anything.`,
  })
}

/** One line: `keyturn.yaml:7:5: credentials.openai: 'stor' is not known … Did you mean 'store'?` */
export function describeProblem(source: string, problem: ConfigProblem): string {
  const place = problem.line === undefined ? '' : `:${problem.line}:${problem.column ?? 1}`
  const path = problem.path === '' ? '' : ` ${problem.path}:`
  return `${source}${place}:${path} ${problem.message}. ${problem.fix}`
}

/** The same as a value, for `keyturn config check`. */
export function checkConfig(sources: ConfigSources): ConfigCheck {
  const found = findFile(sources)
  if (found.kind === 'none') return fromEnvironment(sources)
  if (found.kind === 'file') return checkFile(found, sources)
  return found
}

// ------------------------------------------------------------ which file

type Found =
  | { readonly kind: 'file'; readonly path: string; readonly text: string }
  | { readonly kind: 'none' }
  | Exclude<ConfigCheck, { kind: 'valid' }>

function findFile(sources: ConfigSources): Found {
  const { env, cwd } = sources
  const named = sources.configPath ?? nonEmpty(env['KEYTURN_CONFIG'])
  if (named !== undefined) {
    const path = resolve(cwd, named)
    const text = readText(path, sources)
    if (typeof text !== 'string') return text ?? missingNamed(path, sources.configPath === undefined)
    return { kind: 'file', path, text }
  }
  const folders = [...new Set([cwd, homeOf(sources)])]
  for (const folder of folders) {
    const path = join(folder, configFileName)
    const text = readText(path, sources)
    if (typeof text === 'string') return { kind: 'file', path, text }
    if (text !== undefined) return text
    const near = join(folder, 'keyturn.yml')
    if (typeof readText(near, sources) === 'string') return misnamed(near)
  }
  return { kind: 'none' }
}

/** The text, undefined where there is no file, a finding where there is one that cannot be read. */
function readText(
  path: string,
  sources: ConfigSources,
): string | undefined | Extract<ConfigCheck, { kind: 'invalid' }> {
  try {
    return sources.readFile(path)
  } catch {
    return {
      kind: 'invalid',
      source: path,
      problems: [
        {
          path: '',
          message: 'the file is there and cannot be read',
          fix: 'Check that it is a file, and that this user may read it (ls -l).',
        },
      ],
    }
  }
}

function missingNamed(path: string, isByEnvironment: boolean): ConfigCheck & { kind: 'missing' } {
  return {
    kind: 'missing',
    message: `there is no configuration file ${path}`,
    fix: isByEnvironment
      ? 'Put it there (in a container: mount it), correct or unset KEYTURN_CONFIG, or write the file with `keyturn init`.'
      : 'Correct the path, or write the file with `keyturn init`.',
  }
}

function misnamed(path: string): ConfigCheck & { kind: 'invalid' } {
  return {
    kind: 'invalid',
    source: path,
    problems: [{ path: '', message: 'this file is not read', fix: `Rename it to ${configFileName}.` }],
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text.trim()
}

// -------------------------------------------------------------- the file

function checkFile(
  found: { readonly path: string; readonly text: string },
  sources: ConfigSources,
): ConfigCheck {
  const { path, text } = found
  const secrets = secretsIn(text)
  const document = readDocument(text)
  const parsed = document.value === undefined ? undefined : fileSchema.safeParse(document.value)
  const problems = [...secrets, ...document.problems]
  if (text.trim() === '' || document.value === null) problems.push(emptyFile())
  else if (parsed?.success === false) {
    // Where a secret was found, the same line is often also a wrong value: one finding about it is enough.
    const lines = new Set(secrets.map(({ line }) => line))
    problems.push(...problemsOf(parsed.error.issues, document).filter(({ line }) => !lines.has(line)))
  }
  const folder = dirname(path)
  const home = homeOf(
    sources,
    parsed?.data?.home === undefined ? undefined : resolve(folder, parsed.data.home),
  )
  const listen = listenOf(sources, parsed?.data?.listen, folder)
  if (listen === undefined) problems.push(wrongListenVariable())
  const invalid = (): ConfigCheck => ({
    kind: 'invalid',
    source: shownPath(path, sources.cwd),
    problems: inOrder(problems),
  })
  if (parsed?.success !== true || listen === undefined) return invalid()
  const built = buildConfig(parsed.data, {
    source: path,
    document,
    sources,
    home,
    listen,
    resolve: (relative) => resolve(folder, relative),
  })
  problems.push(...built.problems)
  if (problems.length > 0) return invalid()
  return { kind: 'valid', config: built.config, warnings: inOrder(built.warnings), document }
}

export function shownPath(path: string, cwd: string): string {
  return dirname(path) === cwd ? basename(path) : path
}

function emptyFile(): ConfigProblem {
  return {
    line: 1,
    column: 1,
    path: '',
    message: 'the file is empty',
    fix: 'Name at least one credential under `credentials:`; `keyturn init` writes a file to begin with.',
  }
}

export function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return [...problems].sort(
    (left, right) => (left.line ?? 0) - (right.line ?? 0) || (left.column ?? 0) - (right.column ?? 0),
  )
}

// ------------------------------------------------------- the environment

/** KEYTURN_HOME, else what the file says, else `.keyturn` in the working directory. Absolute. */
export function homeOf(sources: Pick<ConfigSources, 'env' | 'cwd'>, ofFile?: string): string {
  const named = nonEmpty(sources.env['KEYTURN_HOME'])
  return named === undefined ? (ofFile ?? resolve(sources.cwd, '.keyturn')) : resolve(sources.cwd, named)
}

function listenOf(
  sources: ConfigSources,
  ofFile: string | undefined,
  folder: string,
): ListenConfig | undefined {
  const named = nonEmpty(sources.env['KEYTURN_LISTEN'])
  if (named !== undefined) return parseListen(named, (path) => resolve(sources.cwd, path))
  return parseListen(ofFile ?? defaultListen, (path) => resolve(folder, path))
}

function wrongListenVariable(): ConfigProblem {
  return {
    path: 'KEYTURN_LISTEN',
    message: `expected ${listenShape}`,
    fix: 'Correct or unset KEYTURN_LISTEN.',
  }
}

/** No file: one credential `openai` out of OPENAI_API_KEY, verified and handed out, never turned. */
function fromEnvironment(sources: ConfigSources): ConfigCheck {
  const { env } = sources
  if (nonEmpty(env['OPENAI_API_KEY']) === undefined) {
    return {
      kind: 'missing',
      message: `there is neither a ${configFileName} in ${sources.cwd} nor an OPENAI_API_KEY`,
      fix: 'Write one with `keyturn init`, or set OPENAI_API_KEY to hand out that key, or try the sandbox with `npm start` (keyturn serve --sandbox).',
    }
  }
  const listen = listenOf(sources, undefined, sources.cwd)
  const baseUrl = nonEmpty(env['OPENAI_BASE_URL']) ?? 'https://api.openai.com/v1'
  const problems = [
    ...(listen === undefined ? [wrongListenVariable()] : []),
    ...environmentProblems(baseUrl, listen),
  ]
  if (listen === undefined || problems.length > 0) return { kind: 'invalid', source: 'environment', problems }
  const issuer: IssuerConfig = { kind: 'manual', baseUrl, timeoutMs: 5_000 }
  const organization = nonEmpty(env['OPENAI_ORG_ID'])
  const project = nonEmpty(env['OPENAI_PROJECT_ID'])
  const config: Config = {
    source: 'environment',
    home: homeOf(sources),
    listen,
    allowedHosts: [],
    rateLimits: rateLimitsSchema.parse({}),
    log: { level: 'info', format: 'text' },
    credentials: [
      {
        name: 'openai',
        ref: 'OPENAI_API_KEY',
        store: { kind: 'env', envFile: resolve(sources.cwd, '.env') },
        mirrors: [],
        consumers: [],
        issuer,
        expected: {
          ...(organization === undefined ? {} : { organization }),
          ...(project === undefined ? {} : { project }),
          scopes: [],
          models: [],
        },
        schedule: null,
        blackout: [],
        policy: defaultPolicy(issuer),
      },
    ],
  }
  return { kind: 'valid', config }
}

function environmentProblems(baseUrl: string, listen: ListenConfig | undefined): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (!isSafeUrl(baseUrl)) {
    const isKey = looksSecret(baseUrl) !== undefined
    problems.push({
      path: 'OPENAI_BASE_URL',
      message: isKey
        ? 'this looks like an API key'
        : 'expected an https:// URL without user, query or fragment (http:// only to this machine)',
      fix: 'Correct it, e.g. https://api.openai.com/v1, or unset it.',
    })
  }
  if (listen?.kind === 'tcp' && !isLoopback(listen.host)) {
    problems.push({
      path: 'KEYTURN_LISTEN',
      message: 'listening beyond this machine would send keys over the network unencrypted',
      fix: 'Listen on 127.0.0.1 or unix:PATH, or write a keyturn.yaml with allowPlaintext: true where something in front encrypts.',
    })
  }
  return problems
}

/** Every policy key at its default, for what is set up without a file: the environment, the sandbox, tests. */
export function defaultPolicy(issuer: IssuerConfig): Config['credentials'][number]['policy'] {
  return buildPolicy(policySchema.parse({}), issuer)
}
