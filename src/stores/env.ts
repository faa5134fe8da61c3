import { parseEnv } from 'node:util'
import { KeyturnError } from '../core/errors.ts'
import type { SecretStore } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import { resolvePath, type StoreContext, warn } from './context.ts'
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

  const readFromFile = async (variable: string): Promise<string | undefined> => {
    const text = await readSmallFile(envFile, envFileBytesMax, context.system)
    return text === undefined ? undefined : parseEnv(withoutFileMarks(text))[variable]
  }

  /** Said once per variable and place: it is read again every few seconds. */
  const warnOfSpace = (variable: string, where: string): void => {
    if (warned.has(`${variable} ${where}`)) return
    warned.add(`${variable} ${where}`)
    warn(context, `The value of ${variable} has white space around it, which was left out.`, {
      variable,
      where,
    })
  }

  return readOnlyStore(
    {
      kind: 'env',
      propagationMs: 0,
      async read(ref) {
        const variable = variableOf(options, ref)
        const fromEnvironment = present(context.env[variable])
        const where = fromEnvironment === undefined ? envFile : 'environment'
        const raw = fromEnvironment ?? present(await readFromFile(variable))
        if (raw === undefined) return undefined
        const text = raw.trim()
        if (text !== raw) warnOfSpace(variable, where)
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
