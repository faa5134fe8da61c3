import { dirname, isAbsolute, resolve } from 'node:path'
import type { Waiting } from '../client/cold-start.ts'
import { type OpenClient, openClient } from '../client/create-client.ts'
import { KeyturnClientError } from '../client/errors.ts'
import type { Send } from '../client/wire.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Context } from './command.ts'
import { instanceName } from './instance-name.ts'
import { sendingTo } from './sending-to.ts'
import { type Address, findTarget, findToken, nonEmpty, type Target, type Token } from './target.ts'

export interface Supply extends OpenClient {
  readonly credential: string
  /** For messages: the address of the service, or `this process`. */
  readonly where: string
  /** Nobody else is called so in the leases: not a name that was given, which another run may have at the same time. */
  readonly isOwnName: boolean
}

export interface SupplyOptions {
  /** `exec` or `file`: how it is called in the leases, with the host and the mark. */
  readonly kind: string
  /** What tells it from all others of its kind on this host. */
  readonly mark: string
  readonly onTrouble: (error: KeyturnError) => void
  /** Told once where the first key takes longer than a moment: what is waited for, where, why and for how long. */
  readonly onWaiting?: ((told: string) => void) | undefined
}

/**
 * Keys for a command that carries them on: of the service where there is an address or a token of one, else resolved in this
 * process from the configuration, as `getOpenAIKey()` does. Nothing is asked before the first key is wanted.
 */
export async function openSupply(context: Context, options: SupplyOptions): Promise<Supply> {
  const { io, options: given } = context
  const credential = given.text('credential') ?? nonEmpty(io.env['KEYTURN_CREDENTIAL']) ?? 'openai'
  const givenName = given.text('instance')
  const instance = givenName ?? instanceName(options.kind, options.mark)
  const isOwnName = givenName === undefined
  const service = given.has('inProcess') ? undefined : await findService(context)
  let isToldOfWaiting = false
  const onWaiting = (where: string) => (waiting: Waiting) => {
    if (!isToldOfWaiting) options.onWaiting?.(waitingText(waiting, where))
    isToldOfWaiting = true
  }
  const common = {
    credential,
    instance,
    onError: (error: KeyturnClientError) => options.onTrouble(asKeyturnError(error)),
  }
  try {
    if (service === undefined) {
      if (!given.has('inProcess')) await assertOwnConfiguration(io, credential)
      const { KEYTURN_URL: _url, ...env } = io.env
      const where = 'this process'
      const client = openClient({ ...common, env, onWaiting: onWaiting(where) })
      return { ...client, credential, isOwnName, where }
    }
    const { target, token } = service
    const { address } = target
    const where = address.kind === 'unix' ? address.path : address.url.origin
    const client = openClient({
      ...common,
      env: {},
      url: address.kind === 'unix' ? 'http://localhost' : address.url,
      ...tokenOptions(token),
      // Its timers keep the process: there is nothing else that does while it waits for another key.
      platform: { quietSend: sendTo(address, token, io), after: (ms, callback) => io.after(ms, callback) },
      isQuiet: true,
      onWaiting: onWaiting(where),
    })
    return { ...client, credential, isOwnName, where }
  } catch (error) {
    throw asKeyturnError(error)
  }
}

/**
 * A command is typed in folders of strangers too, and their keyturn.yaml could name an address that collects keys, or code to
 * run. One that was merely found is used for what stays on this machine and with OpenAI. Error: `usage`.
 */
async function assertOwnConfiguration(
  { env, cwd, readFile }: Context['io'],
  credential: string,
): Promise<void> {
  if (nonEmpty(env['KEYTURN_CONFIG']) !== undefined) return
  const [{ checkConfig }, { reachBeyond }] = await Promise.all([
    import('../config/load.ts'),
    import('../config/reach.ts'),
  ])
  const check = checkConfig({ env, cwd, readFile })
  // What is wrong with it is told when it is used.
  if (check.kind !== 'valid' || check.config.source === 'environment') return
  const { config } = check
  const home = nonEmpty(env['KEYTURN_HOME'])
  if (home !== undefined && dirname(config.source) === resolve(cwd, home)) return
  const reach = reachBeyond(config, credential)
  if (reach === undefined) return
  throw new KeyturnError('usage', `${config.source} was merely found, and has ${credential} go to ${reach}`, {
    fix: `Where the file is yours, say so: --in-process, or KEYTURN_CONFIG='${config.source}'. Else set KEYTURN_URL, or leave the folder.`,
  })
}

function waitingText({ error, leftMs }: Waiting, where: string): string {
  const why = error === undefined ? `${where} has not answered yet` : asKeyturnError(error).message
  return `waiting for a key, for ${leftMs / 1_000} s more: ${why}`
}

/** What the client says, as commands say it: the fix in a line of its own. */
export function asKeyturnError(thrown: unknown): KeyturnError {
  if (!(thrown instanceof KeyturnClientError))
    return thrown instanceof KeyturnError
      ? thrown
      : new KeyturnError('internal', 'getting a key failed', { cause: thrown })
  const { code, message, fix, retryable, cause } = thrown
  const said = fix !== undefined && message.endsWith(fix) ? message.slice(0, -fix.length).trim() : message
  return new KeyturnError(code, said.replace(/\.$/, ''), {
    ...(fix === undefined ? {} : { fix }),
    retryable,
    cause,
  })
}

/** Undefined where nothing says that there is a service: no address, no token, none in the home folder. */
async function findService({
  io,
}: Context): Promise<{ readonly target: Target; readonly token: Token } | undefined> {
  const target = await findTarget(io)
  const isNamed = ['KEYTURN_URL', 'KEYTURN_TOKEN', 'KEYTURN_TOKEN_FILE'].some(
    (name) => nonEmpty(io.env[name]) !== undefined,
  )
  if (isNamed) return { target, token: findToken(io, target, 'app') }
  try {
    const token = findToken(io, target, 'app')
    return token.value === '' ? undefined : { target, token }
  } catch (error) {
    if (error instanceof KeyturnError && error.code === 'unauthenticated') return undefined
    throw error
  }
}

/** A file is read again for every call, so that a token that was turned in it is used at once. */
function tokenOptions(token: Token): { readonly token: string } | { readonly tokenFile: string } {
  if (isAbsolute(token.from)) return { tokenFile: token.from }
  return { token: token.value === '' ? noToken : token.value }
}

/** The client wants one; where the connection says who asks, none is sent. */
const noToken = 'none'

/** A socket file leads there, or a client certificate is shown; where the connection says who asks, no token is sent. */
function sendTo(address: Address, token: Token, io: Context['io']): Send {
  const send = sendingTo(address, io)
  if (token.value !== '') return send
  return async (request) => {
    const { authorization: _none, ...headers } = request.headers
    return await send({ ...request, headers })
  }
}
