import { hash } from 'node:crypto'
import { basename, dirname, resolve } from 'node:path'
import type { OpenAICredential } from '../../client/types.ts'
import { errnoOf } from '../../core/errno.ts'
import { KeyturnError } from '../../core/errors.ts'
import { createSystem } from '../../system.ts'
import { fileFormats, fileModes } from '../choices.ts'
import { type Context, usage } from '../command.ts'
import { withoutTokens } from '../exec/environment.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { farewell } from '../farewell.ts'
import { faultOf } from '../fault.ts'
import { assertReplaceable, type Shape, strayVariables } from '../key-file/contents.ts'
import { realDisk } from '../key-file/disk.ts'
import { runHook } from '../key-file/hook.ts'
import { type KeepOptions, keepGoing, type Told, writeOnce } from '../key-file/keep.ts'
import { type KeyFile, openKeyFile } from '../key-file/key-file.ts'
import { lookAtPlace } from '../key-file/place.ts'
import { durationOption, variableName, wordOption } from '../option-values.ts'
import { asKeyturnError, openSupply } from '../supply.ts'
import { short } from '../text.ts'
import { signals } from '../until-signal.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { io, out, options } = context
  const shape = shapeOf(context)
  assertOneEnd(context)
  const mode = Number.parseInt(wordOption(options, '--mode', { words: fileModes, without: '0600' }), 8)
  const hook = hookOf(context)
  const path = pathOf(context)
  const uid = process.getuid?.()
  const look = (): readonly string[] =>
    lookAtPlace(path, realDisk, { uid, isSharedFolder: options.has('sharedFolder'), mode })
  const file = fileAt(path, mode, io.now)
  for (const told of [...look(), ...(await toldByGit(path, io.env))]) out.warn(told)
  const before = onDisk(file, () => file.read())
  assertReplaceable(path, before ?? '', shape)
  const left = file.cleanUp()
  if (left > 0) out.note(`keyturn file: removed ${left} file(s) that were left beside ${path}`)

  // A lease is of the file: where there will be none, the next rotation is not to wait for it.
  if (options.has('once') && before === undefined) onDisk(file, () => file.tryOut())

  const supply = await openSupply(context, {
    kind: 'file',
    mark: markOf(path),
    onTrouble: (error) => out.warn(`keyturn file: ${error.message}; ${path} stays as it is`),
    // What goes on tells of trouble when it is there, and has no end of waiting.
    onWaiting: options.has('once') ? (told) => out.note(`keyturn file: ${told}`) : undefined,
  })
  const keep: KeepOptions = {
    supply,
    file,
    shape,
    look: () => void look(),
    hook: hook === undefined ? undefined : (credential) => hook(path, credential),
    asError: (thrown) => errorOf(thrown, path),
    tell: (told) => tell(context, path, told),
  }
  try {
    const code = await (options.has('once') ? once : onAndOn)(context, keep)
    // The file stays, and whoever reads it has the key: its lease is not ended, but says what is in it.
    await farewell(supply.tell, io.after)
    return code
  } finally {
    supply.client.close()
  }
}

function onDisk<Result>(file: KeyFile, work: () => Result): Result {
  try {
    return work()
  } catch (thrown) {
    throw errorOf(thrown, file.path)
  }
}

async function once({ out }: Context, keep: KeepOptions): Promise<ExitCode> {
  const { path } = keep.file
  try {
    const { credential, isChanged } = await writeOnce(keep)
    tellOfStrays({ out }, keep.file, credential, keep.shape)
    const { version, fingerprint, generation } = credential
    out.result({ path, isChanged, version, fingerprint, generation }, () => [
      `${path} ${isChanged ? 'now has' : 'has'} the key ${fingerprint}, version ${short(version)}`,
    ])
    return exitCodes.done
  } catch (thrown) {
    throw errorOf(thrown, path)
  }
}

async function onAndOn(context: Context, keep: KeepOptions): Promise<ExitCode> {
  const { io, out, options } = context
  const end = new AbortController()
  const { first, ignore } = signals(io, out)
  const onEnd = (): void => end.abort()
  void first.then(onEnd)
  // The terminal is gone: with it goes what is only for as long as somebody is there.
  process.once('SIGHUP', onEnd)
  try {
    await keepGoing({
      ...keep,
      after: io.after,
      signal: end.signal,
      isRemovedAtEnd: options.has('removeOnExit'),
    })
    return exitCodes.done
  } finally {
    process.off('SIGHUP', onEnd)
    ignore()
  }
}

function tell({ out }: Pick<Context, 'out'>, path: string, told: Told): void {
  if (told.kind === 'trouble') {
    out.error(told.error)
    return
  }
  const { version, fingerprint, generation } = told.credential
  if (out.isJson) {
    out.line(JSON.stringify({ event: told.kind, path, version, fingerprint, generation }))
    return
  }
  const sentences = {
    current: `${path} has the key ${fingerprint}, version ${short(version)}`,
    written: `${path} now has the key ${fingerprint}, version ${short(version)}`,
    restored: `somebody else had changed ${path}; it has the key ${fingerprint} again`,
    'hook-done': 'the hook has succeeded',
  }
  out.note(`keyturn file: ${sentences[told.kind]}`)
}

function tellOfStrays(
  { out }: Pick<Context, 'out'>,
  file: KeyFile,
  credential: OpenAICredential,
  { format }: Shape,
): void {
  if (format !== 'env') return
  for (const name of strayVariables(credential, file.read() ?? ''))
    out.warn(
      `${file.path} sets ${name}, and the credential names none: OpenAI refuses a key that does not belong there`,
    )
}

function fileAt(path: string, mode: number, now: () => number): KeyFile {
  const system = createSystem()
  return openKeyFile({
    path,
    mode,
    disk: realDisk,
    pid: process.pid,
    uid: process.getuid?.(),
    isAlive,
    now,
    draw: () => system.uuid().slice(0, 8),
  })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Somebody else's process lives all the same.
    return errnoOf(error) === 'EPERM'
  }
}

/** The lease is the file's, so that the next run takes it up, whoever it is run by and however the path is written. */
function markOf(path: string): string {
  const { dev, ino } = realDisk.stat(dirname(path))
  return hash('sha256', `${dev} ${ino} ${basename(path)}`).slice(0, 8)
}

function pathOf({ io, options }: Context): string {
  const out = options.text('out')
  if (out !== undefined) return resolve(io.cwd, out)
  throw usage('the option --out is missing', 'Say where the key is to be kept: keyturn file --out PATH.')
}

/** Another key follows within the same run, or there is nothing to take out at its end. */
function assertOneEnd({ options }: Context): void {
  if (options.has('once') && options.has('removeOnExit'))
    throw usage(
      '--remove-on-exit is for a run that goes on; with --once the file stays',
      'Leave one of them out.',
    )
}

function shapeOf({ options }: Context): Shape {
  const variable = options.text('variable')
  const format = wordOption(options, '--format', { words: fileFormats, without: 'raw' })
  if (variable !== undefined && format !== 'env')
    throw usage('--variable is for --format env', 'Add --format env, or leave it out.')
  return { format, variable: variableName('--variable', variable ?? 'OPENAI_API_KEY') }
}

type Hook = (path: string, credential: OpenAICredential) => Promise<void>

function hookOf({ io, options }: Context): Hook | undefined {
  const command = options.text('hook')
  const timeoutMs = durationOption(options, '--hook-timeout', { without: 60_000, most: '1h' })
  if (command === undefined) return undefined
  const { OPENAI_API_KEY: _key, ...own } = withoutTokens(io.env, [])
  return (path, credential) =>
    runHook({
      command,
      timeoutMs,
      after: io.after,
      env: {
        ...own,
        KEYTURN_FILE: path,
        KEYTURN_CREDENTIAL: credential.name,
        KEYTURN_VERSION: credential.version,
        KEYTURN_FINGERPRINT: credential.fingerprint,
        ...(options.has('hookKey') ? { OPENAI_API_KEY: credential.apiKey } : {}),
      },
    })
}

/** A key in a repository goes wherever that goes. */
async function toldByGit(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  const { askGit } = await import('../../doctor/project/git.ts')
  const name = basename(path)
  const facts = await askGit(dirname(path), [name], env)
  if (facts === undefined) return []
  if (facts.tracked.has(name))
    return [
      `${path} is tracked by git: take it out (git rm --cached '${name}') and ignore it, or each key is committed`,
    ]
  return facts.ignored.has(name) ? [] : [`${path} is not ignored by git: add it to .gitignore`]
}

function errorOf(thrown: unknown, path: string): KeyturnError {
  if (thrown instanceof KeyturnError) return thrown
  if (thrown instanceof Error && 'code' in thrown && thrown.name !== 'KeyturnClientError')
    return faultOf(thrown, `reading or writing ${path} failed`)
  return asKeyturnError(thrown)
}
