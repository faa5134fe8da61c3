import { parseEnv } from 'node:util'
import { KeyturnError } from '../core/errors.ts'
import type { SecretStore } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import { resolvePath, type StoreContext, warn } from './context.ts'
import { linesSetting, similarNames } from './env-hints.ts'
import { assertNoPlaceholder, withoutFileMarks } from './plain-text.ts'
import { readOnlyStore } from './read-only.ts'
import { readSmallFile } from './small-file.ts'
import { assertStorable } from './values.ts'
import { watchPath } from './watch-path.ts'

export interface EnvStoreOptions {
  /** The variable that holds the key. Default: the ref, which then is the variable's name. */
  readonly variable?: string
  /** Read where the environment has no such variable. Default `.env`, relative to the home folder. */
  readonly envFile?: string
}

const variablePattern = /^[A-Za-z_][A-Za-z0-9_]*$/
const envFileBytesMax = 1_048_576

/**
 * A variable of the environment, else of a .env file; the file is read afresh each time. An empty value is absence.
 * Read-only. Error codes: `config_invalid`, `store_denied`, `store_malformed`, `store_read_only`, `store_too_large`,
 * `store_unreachable`.
 */
export function openEnvStore(options: EnvStoreOptions, context: StoreContext): SecretStore {
  const envFile = resolvePath(context, options.envFile ?? '.env')
  const warned = new Set<string>()
  const compared = new Set<string>()

  /** Said once each: it is read again every few seconds. */
  const warnOnce = (message: string, fields: Readonly<Record<string, unknown>>): void => {
    if (warned.has(message)) return
    warned.add(message)
    warn(context, message, fields)
  }

  const readFile = async (): Promise<string> =>
    withoutFileMarks((await readSmallFile(envFile, envFileBytesMax, context.system)) ?? '')

  const readFromFile = async (variable: string): Promise<string | undefined> => {
    const text = await readFile()
    const values = parseEnv(text)
    const lines = linesSetting(variable, text)
    if (lines.length > 1)
      warnOnce(
        `${envFile} sets ${variable} in lines ${lines.join(', ')}: the last one counts. Remove the others.`,
        { variable },
      )
    const value = present(values[variable])
    if (value === undefined) hintAtNames(variable, Object.keys(values))
    return value
  }

  /** Both set, and not to the same: the one in the file is often the newer one. Looked at once. */
  const compareWithFile = async (variable: string, value: string): Promise<void> => {
    if (compared.has(variable)) return
    compared.add(variable)
    // The file is not needed here, so what may be wrong with it is no reason to go without the key.
    const text = await readFile().catch(() => '')
    const other = present(parseEnv(text)[variable])?.trim()
    if (other !== undefined && other !== value.trim())
      warnOnce(
        `${variable} is set in the environment, and to another value in ${envFile}: the environment counts.`,
        {
          variable,
        },
      )
  }

  const hintAtNames = (variable: string, names: readonly string[]): void => {
    const isSet = (name: string): boolean => present(context.env[name]) !== undefined
    const similar = similarNames(variable, new Set([...Object.keys(context.env).filter(isSet), ...names]))
    if (similar.length > 0)
      warnOnce(
        `${variable} is not set, but ${similar.join(' and ')} is: rename it, or make its name the ref of the credential.`,
        { variable },
      )
  }

  return readOnlyStore(
    {
      kind: 'env',
      propagationMs: 0,
      async read(ref) {
        const variable = variableOf(options, ref)
        const fromEnvironment = present(context.env[variable])
        const where = fromEnvironment === undefined ? envFile : 'environment'
        const raw = fromEnvironment ?? (await readFromFile(variable))
        if (raw === undefined) return undefined
        if (fromEnvironment !== undefined) await compareWithFile(variable, fromEnvironment)
        const text = raw.trim()
        if (text !== raw)
          warnOnce(`The value of ${variable} has white space around it, which was left out.`, {
            variable,
            where,
          })
        assertNoPlaceholder(text, variable)
        const secret = new Secret(text)
        assertStorable(variable, secret)
        return secret
      },
      resourceOf: (ref) => variableOf(options, ref),
      // The environment of a running process does not change from outside; the file does.
      watch: (_ref, onChange) => watchPath(envFile, onChange, context.system),
    },
    context,
  )
}

function present(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value
}

function variableOf(options: EnvStoreOptions, ref: string): string {
  const variable = options.variable ?? ref
  if (variablePattern.test(variable)) return variable
  throw new KeyturnError('config_invalid', `${variable} cannot be the name of an environment variable.`, {
    fix: 'Set the ref of the credential, or variable of the store, to the name, e.g. OPENAI_API_KEY.',
  })
}
