import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { KeyturnError } from '../../core/errors.ts'
import { argument, type Context, reasonOf, usage } from '../command.ts'
import { type ExitCode, exitCodes, Interrupted } from '../exit.ts'
import type { Io } from '../io.ts'
import { short } from '../text.ts'
import { watchBrought } from '../watch-brought.ts'

/** No key is anywhere near as long; a whole file piped in by mistake is. */
const keyBytesMax = 4_096
/** The service takes nothing shorter. */
const keyLengthMin = 8

export async function run(context: Context): Promise<ExitCode> {
  const { out, options } = context
  const name = argument(context, 0)
  const reason = reasonOf(options)
  const apiKey = checked(await readKey(context))
  const api = await context.api()
  const version = await api.bring(name, { apiKey, ...(reason === undefined ? {} : { reason }) })
  if (options.has('wait')) return await watchBrought(context, api, name, version)
  out.result(version, () => [
    `${name}: key ${version.fingerprint} is in (version ${short(version.version)}, ${version.stage})`,
    `  it is proven before it is handed out: see 'keyturn status ${name} --watch'`,
  ])
  return exitCodes.done
}

async function readKey(context: Context): Promise<string> {
  const { io, options } = context
  const envFile = options.text('envFile')
  const file = options.text('file')
  if (envFile === undefined && options.text('variable') !== undefined)
    throw usage('--variable goes with --env-file', 'Give --env-file too, or leave --variable out.')
  if (envFile !== undefined && file !== undefined)
    throw usage('--file and --env-file exclude each other', 'Give the one that holds the key.')
  if (envFile !== undefined) return readVariable(context, envFile)
  if (file !== undefined) return readFile(io, file, '--file')
  const text = io.stdin.isTerminal
    ? await io.stdin.ask('Paste the key (it is not shown): ', { isHidden: true })
    : await io.stdin.readAll(keyBytesMax)
  if (text !== undefined) return text
  throw io.stdin.isTerminal
    ? new Interrupted('Nothing was done.')
    : usage('this is too long for a key', 'Give the key alone, on one line: keyturn bring NAME < FILE.')
}

function readFile(io: Io, name: string, option: string): string {
  const path = resolve(io.cwd, name)
  const text = io.readFile(path)
  if (text === undefined) throw usage(`there is no file ${path}`, `Correct ${option}.`)
  return text
}

function readVariable({ io, options }: Context, envFile: string): string {
  const variable = options.text('variable') ?? 'OPENAI_API_KEY'
  const value = parseEnv(readFile(io, envFile, '--env-file').replace(/^\uFEFF/, ''))[variable]
  if (value !== undefined && value !== '') return value
  throw usage(
    `${resolve(io.cwd, envFile)} does not set ${variable}`,
    'Name the variable that holds the key: --variable NAME.',
  )
}

/** Finds what commonly clings to a key that was copied, without showing any of it. */
function checked(text: string): string {
  const key = text.replace(/^\uFEFF/, '').trim()
  const refuse = (what: string, fix: string): KeyturnError => new KeyturnError('bad_request', what, { fix })
  if (key === '')
    throw usage('no key was given', 'Give the key alone, on one line: keyturn bring NAME < FILE.')
  if (Buffer.byteLength(key) > keyBytesMax) throw refuse('this is too long for a key', 'Give the key alone.')
  if (/^bearer\s/i.test(key))
    throw refuse("'Bearer' stands before the key", 'Give the key alone, without it.')
  if (/^["'`]|["'`]$/.test(key))
    throw refuse('there are quotes around the key', 'Give the key alone, without them.')
  if (/^[A-Z_]+=/.test(key))
    throw refuse('a variable name stands before the key', 'Give only what stands after the =.')
  if (!/^[\u0021-\u007e]+$/.test(key)) {
    throw refuse(
      'there are blanks or other characters in it that no key has',
      'Copy the key again, on one line.',
    )
  }
  if (key.length < keyLengthMin) throw refuse('this is too short for a key', 'Copy all of the key.')
  return key
}
