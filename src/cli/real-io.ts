import {
  accessSync,
  appendFileSync,
  constants,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { networkInterfaces } from 'node:os'
import { dirname } from 'node:path'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import { packageVersion } from '../package-folder.ts'
import { createSystem } from '../system.ts'
import type { Io } from './io.ts'
import { terminalStreams } from './output.ts'
import { processInput } from './stdin.ts'

/** The process that the command line runs in. */
export function realIo(): Io {
  const system = createSystem()
  const streams = terminalStreams()
  return {
    env: process.env,
    cwd: workingFolder(),
    ...streams,
    stdin: processInput(),
    now: () => system.now(),
    after: (delayMs, callback) => system.after(delayMs, callback),
    readFile: readFileIfThere,
    writeNewFile,
    ownAddresses: () =>
      Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
    onSignal(callback) {
      const onInterrupt = (): void => callback('SIGINT')
      const onTerminate = (): void => callback('SIGTERM')
      process.on('SIGINT', onInterrupt)
      process.on('SIGTERM', onTerminate)
      return () => {
        process.off('SIGINT', onInterrupt)
        process.off('SIGTERM', onTerminate)
      }
    },
    appendFile: (path, text) => appendFileSync(path, text),
    exit: (code) => process.exit(code),
    version: packageVersion,
    writePrivateFile,
    assertWritable,
    loadMain: () => import('../main.ts'),
    async lookAtFiles(config, written) {
      const { lookAtFiles } = await import('../main/named-files.ts')
      return lookAtFiles({ config, written, env: process.env, now: system.now() })
    },
    async harden(log) {
      const [{ hardenProcess }, { processParts }] = await Promise.all([
        import('../main/hardening.ts'),
        import('../main/process-parts.ts'),
      ])
      await hardenProcess(processParts(process.env), log)
    },
    async openLocalTokens(home) {
      const { openLocalTokens } = await import('../main.ts')
      return openLocalTokens({ home, env: process.env, cwd: workingFolder() })
    },
  }
}

/** One that was deleted under the shell is still called what it was: what is looked for in it is not there, and says so. */
function workingFolder(): string {
  try {
    return process.cwd()
  } catch {
    return process.env['PWD'] ?? '/'
  }
}

const fileBytesMax = 64 * 1_048_576

/** A folder of somebody else may hold a pipe that nobody writes to, or a link to what never ends. */
function readFileIfThere(path: string): string | undefined {
  try {
    const about = statSync(path)
    const isReadable = about.isDirectory() || (about.isFile() && about.size <= fileBytesMax)
    if (isReadable || isStream(path)) return readFileSync(path, 'utf8')
    throw new KeyturnError('file_unusable', `${path} is no file, or longer than ${fileBytesMax} bytes`, {
      fix: 'Name a file, or /dev/stdin.',
    })
  } catch (error) {
    const code = errnoOf(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** `/dev/stdin` and its like, and what a shell makes of `<(…)`: whoever names one means it. */
function isStream(path: string): boolean {
  return /^\/(?:dev\/(?:stdin|stdout|stderr|null|fd\/\d+)|proc\/self\/fd\/\d+)$/.test(path)
}

function writeNewFile(path: string, text: string, mode: number): boolean {
  mkdirSync(dirname(path), { recursive: true })
  try {
    writeFileSync(path, text, { flag: 'wx', mode })
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

function writePrivateFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}.tmp`
  // Made anew: in a folder of others a file or a link of theirs may wait under this name.
  rmSync(temporary, { force: true })
  writeFileSync(temporary, text, { flag: 'wx', mode: 0o600 })
  try {
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

function assertWritable(path: string): void {
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  accessSync(folder, constants.W_OK | constants.X_OK)
  const about = statSync(path, { throwIfNoEntry: false })
  if (about?.isDirectory() === true) throw Object.assign(new Error('a folder'), { code: 'EISDIR', path })
  // The superuser would put a file in the place of what the whole machine writes to.
  if (isStream(path) || about?.isFile() === false)
    throw new KeyturnError('file_unusable', `${path} is no file, and would be replaced by one`, {
      fix: 'Name a file; without --output the token goes to standard output.',
    })
}
