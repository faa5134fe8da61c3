import { resolve } from 'node:path'
import { defaultListen, listenShape, parseListen } from './listen.ts'
import type { Config, ConfigSources, ListenConfig } from './types.ts'

export interface Location {
  readonly home: string
  readonly listen: ListenConfig
  /** Whether it speaks HTTPS there. */
  readonly isTls: boolean
  /** Which setting said so, for messages. */
  readonly from: string
}

/**
 * Where a service configured by these sources keeps its state and listens, for a command that looks for it. The file is
 * read (and its parser loaded) only where the environment does not say; its errors are thrown as loadConfig throws them.
 */
export async function locate(sources: ConfigSources): Promise<Location> {
  const { env, cwd } = sources
  const home = resolve(cwd, trimmed(env['KEYTURN_HOME']) ?? '.keyturn')
  const named = trimmed(env['KEYTURN_LISTEN'])
  const listen = named === undefined ? undefined : parseListen(named, (path) => resolve(cwd, path))
  if (listen !== undefined) return { home, listen, isTls: false, from: 'KEYTURN_LISTEN' }
  if (named !== undefined) throw await wrongListen()
  const { checkConfig, describeProblem } = await import('./load.ts')
  const check = checkConfig(sources)
  if (check.kind === 'valid' && check.config.source !== 'environment') return ofConfig(check.config)
  if (check.kind === 'invalid' && check.source !== 'environment') {
    const { KeyturnError } = await import('../core/errors.ts')
    const [first] = check.problems
    throw new KeyturnError(
      'config_invalid',
      first === undefined ? `${check.source} cannot be used` : describeProblem(check.source, first),
      {
        fix: "Correct it ('keyturn config check' shows all), or set KEYTURN_URL to the address of the service.",
      },
    )
  }
  const standard = parseListen(defaultListen, String)
  return {
    home,
    listen: standard ?? { kind: 'tcp', host: '127.0.0.1', port: 7420 },
    isTls: false,
    from: 'the default',
  }
}

/** Going on with the default would look for the service where nobody said that it is. */
async function wrongListen(): Promise<Error> {
  const { KeyturnError } = await import('../core/errors.ts')
  return new KeyturnError('config_invalid', 'KEYTURN_LISTEN is no address to listen on', {
    fix: `Set it to ${listenShape}, or unset it.`,
  })
}

function ofConfig({ home, listen, tls, source }: Config): Location {
  return { home, listen, isTls: tls !== undefined, from: source }
}

function trimmed(text: string | undefined): string | undefined {
  const bare = text?.trim()
  return bare === '' ? undefined : bare
}
