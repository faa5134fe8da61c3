import { relative } from 'node:path'
import type { Config } from '../../config/types.ts'
import type { LogLevel } from '../../core/ports.ts'
import type { Context } from '../command.ts'
import { readConfiguration } from '../configuration.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import type { Io, Served } from '../io.ts'
import { serviceLog } from '../service-log.ts'
import { nonEmpty } from '../target.ts'
import { shellQuoted } from '../text.ts'
import { signals } from '../until-signal.ts'

/** How long the greeting waits for the first verified key, so that what it says to try works. */
const readyMs = 3_000

export async function run(context: Context): Promise<ExitCode> {
  const { io, out, options } = context
  const isSandbox = options.has('sandbox')
  const config = isSandbox ? undefined : await readConfiguration(context)
  const log = await serviceLog(io, config?.log ?? sandboxLog(io))
  const main = await io.loadMain()
  const { first, ignore } = signals(io, out)
  try {
    const served = await main.serve({
      ...(config === undefined ? { sandbox: true } : { config }),
      isOwnProcess: true,
      env: io.env,
      cwd: io.cwd,
      log,
    })
    const isReady = await Promise.race([served.readyWithin(readyMs), first])
    // Whoever ends it before that reads no greeting.
    if (isReady !== undefined) {
      if (config === undefined) greetSandbox(context, served)
      else greet(context, served, config)
      if (!isReady) out.warn("no key could be verified yet; 'keyturn status' says why")
      await first
    }
    await served.stop()
    return exitCodes.done
  } finally {
    ignore()
  }
}

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** The sandbox has no file to say it in. */
function sandboxLog(io: Io): Config['log'] {
  const level = levels.find((known) => known === io.env['KEYTURN_LOG_LEVEL'])
  return { level: level ?? 'warn', format: 'text' }
}

function greet({ out, io }: Context, served: Served, config: Config): void {
  const names = [...config.credentials, ...(config.federated ?? [])].map(({ name }) => name)
  const { url } = served
  out.result({ url, home: served.home, isSandbox: false, source: config.source, credentials: names }, () => [
    `Keyturn serves ${names.join(', ')} at ${url}`,
    `  configured by ${shown(io, config.source)}, state in ${shown(io, served.home)}`,
    `  see 'keyturn status'; make a token for an app with 'keyturn token create NAME'`,
  ])
}

function greetSandbox({ out, io }: Context, served: Served): void {
  const { url, sandboxUrl } = served
  const home = shown(io, served.home)
  const isIgnoring = (io.env['OPENAI_API_KEY'] ?? '') !== ''
  const curl = url.startsWith('unix:')
    ? `curl --unix-socket ${shellQuoted(url.slice('unix:'.length))}`
    : 'curl'
  const origin = url.startsWith('unix:') ? 'http://localhost' : url
  out.result({ url, isSandbox: true, sandboxUrl: sandboxUrl ?? null, home }, () => [
    `${out.paint('yellow', 'SANDBOX')}  a local OpenAI with keys that work nowhere else; nothing here reaches the real one.`,
    ...(isIgnoring
      ? ['         OPENAI_API_KEY is set and ignored: use keyturn serve to hand out that key.']
      : []),
    ...out.table([
      ['', 'Keyturn', url],
      ['', 'OpenAI', sandboxUrl ?? '-'],
      ['', 'tokens', `${home}/app.token (reads), ${home}/operator.token (acts)`],
    ]),
    '',
    'Now try, in another terminal:',
    `  ${curl} -H "Authorization: Bearer $(cat ${shellQuoted(`${home}/app.token`)})" ${origin}/v1/credentials/openai`,
    `  ${settings(io)}npx keyturn rotate openai --wait`,
  ])
}

/** What another terminal has to be told in order to find this service. */
function settings(io: Io): string {
  return ['KEYTURN_HOME', 'KEYTURN_LISTEN']
    .flatMap((name) =>
      nonEmpty(io.env[name]) === undefined ? [] : `${name}=${shellQuoted(io.env[name] ?? '')} `,
    )
    .join('')
}

function shown(io: Io, path: string): string {
  const near = relative(io.cwd, path)
  return near === '' || near.startsWith('..') ? path : near
}
