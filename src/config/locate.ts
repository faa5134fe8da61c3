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
 * Where a service configured by these sources keeps its state and listens, for a command that looks for it. Errors of the file are
 * thrown as loadConfig throws them, where the address comes from it; whether HTTPS is spoken at one of the environment says the file as well.
 */
export async function locate(sources: ConfigSources): Promise<Location> {
  const { env, cwd } = sources
  const home = resolve(cwd, trimmed(env['KEYTURN_HOME']) ?? '.keyturn')
  const named = trimmed(env['KEYTURN_LISTEN'])
  const listen = named === undefined ? undefined : parseListen(named, (path) => resolve(cwd, path))
  if (listen !== undefined) {
    const isTls = listen.kind === 'tcp' && (await speaksTls(sources))
    return { home, listen, isTls, from: 'KEYTURN_LISTEN' }
  }
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

/** As a container has it: the address in its environment, and TLS in its file. With one that is wrong no service runs. */
async function speaksTls(sources: ConfigSources): Promise<boolean> {
  const { checkConfig } = await import('./load.ts')
  const check = checkConfig(sources)
  return check.kind === 'valid' && check.config.tls !== undefined
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
