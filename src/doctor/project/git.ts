import { execFile } from 'node:child_process'
import { delimiter, isAbsolute } from 'node:path'

export interface GitFacts {
  readonly tracked: ReadonlySet<string>
  /** Of the paths that were asked about. */
  readonly ignored: ReadonlySet<string>
}

const runMsMax = 3_000
const answerBytesMax = 64 * 1_048_576

/**
 * The folder may come from a stranger: nothing that its repository configures may run, write or call anybody. Of the
 * caller's environment only what git needs is handed on: no key, and no GIT_DIR that points elsewhere.
 */
const guards = [
  '--no-pager',
  '-c',
  'core.fsmonitor=false',
  '-c',
  'core.hooksPath=/dev/null',
  '-c',
  'core.untrackedCache=false',
]
const quiet = {
  GIT_OPTIONAL_LOCKS: '0',
  GIT_NO_LAZY_FETCH: '1',
  // Goes before what the repository allows; git before 2.45 fetches what is missing, and ext:: runs a command.
  GIT_ALLOW_PROTOCOL: 'none',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ATTR_NOSYSTEM: '1',
  LC_ALL: 'C',
}
const handedOn = ['PATH', 'HOME', 'XDG_CONFIG_HOME', 'USERPROFILE', 'SYSTEMROOT']

/** Without `.` and its like, where a folder of a stranger has programs of its own. */
export function searchPath(path: string | undefined): string | undefined {
  return path
    ?.split(delimiter)
    .filter((folder) => isAbsolute(folder))
    .join(delimiter)
}

/** What git knows of the paths; undefined where there is no git, no repository, or no answer in time. */
export async function askGit(
  folder: string,
  paths: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<GitFacts | undefined> {
  const [kept, matched] = await Promise.all([
    run(folder, env, ['ls-files', '-z', '--cached'], [0]),
    // With the index, it would take the square of their number: what is tracked is left out below.
    run(
      folder,
      env,
      ['check-ignore', '--no-index', '-z', '--stdin'],
      [0, 1],
      paths.map((path) => `${path}\0`).join(''),
    ),
  ])
  if (kept === undefined || matched === undefined) return undefined
  const tracked = namesOf(kept)
  const facts = { tracked, ignored: new Set([...namesOf(matched)].filter((path) => !tracked.has(path))) }
  // A folder that a repository around it ignores as a whole is no part of that repository.
  return facts.tracked.size === 0 && paths.length > 0 && paths.every((path) => facts.ignored.has(path))
    ? undefined
    : facts
}

function namesOf(answer: string): ReadonlySet<string> {
  return new Set(answer.split('\0').filter((name) => name !== ''))
}

function run(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
  args: readonly string[],
  goodCodes: readonly number[],
  input = '',
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = execFile(
      'git',
      [...guards, '-C', folder, ...args],
      {
        // Some systems look where they are before they look on the PATH.
        cwd: '/',
        env: {
          ...Object.fromEntries(handedOn.map((name) => [name, env[name]])),
          ...quiet,
          PATH: searchPath(env['PATH']),
        },
        timeout: runMsMax,
        killSignal: 'SIGKILL',
        maxBuffer: answerBytesMax,
        windowsHide: true,
      },
      (error, answer) =>
        resolve(goodCodes.includes(error === null ? 0 : Number(error.code)) ? answer : undefined),
    )
    // Where git has ended before it read everything, its exit code says what there is to say.
    child.stdin?.on('error', () => child.kill('SIGKILL'))
    child.stdin?.end(input)
  })
}
