import { join, resolve } from 'node:path'
import { isLoopback, listenShape, parseListen } from '../../config/listen.ts'
import { KeyturnError } from '../../core/errors.ts'
import { type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { signals } from '../until-signal.ts'

const defaultAddress = '127.0.0.1:7421'

export async function run(context: Context): Promise<ExitCode> {
  const { io, out, options } = context
  const listen = parseListen(options.text('listen') ?? defaultAddress, String)
  if (listen?.kind !== 'tcp' || !isLoopback(listen.host)) {
    throw usage(
      '--listen takes an address of this machine',
      `E.g. --listen ${defaultAddress}; not ${listenShape.split(' or ')[1] ?? 'a socket'}.`,
    )
  }
  const state = options.text('state')
  const { startSandbox } = await import('../../sandbox/index.ts')
  const { first, ignore } = signals(io, out)
  try {
    const sandbox = await startSandbox({
      host: listen.host,
      port: listen.port,
      ...(state === undefined ? {} : { stateFile: resolve(io.cwd, state) }),
    }).catch((error: unknown) => {
      throw startError(error, listen.port)
    })
    const { home } = await context.target()
    const adminKeyFile = join(home, 'sandbox.admin-key')
    const keyFile = join(home, 'sandbox.key')
    io.writePrivateFile(adminKeyFile, `${sandbox.adminKey()}\n`)
    io.writePrivateFile(keyFile, `${sandbox.createServiceAccountKey().value}\n`)
    const { baseUrl, organization, project, serviceAccount } = sandbox
    out.result({ baseUrl, organization, project, serviceAccount, adminKeyFile, keyFile }, () => [
      `${out.paint('yellow', 'SANDBOX')}  a local OpenAI with keys that work nowhere else.`,
      ...out.table([
        ['', 'base URL', baseUrl],
        ['', 'a key', keyFile],
        ['', 'admin key', adminKeyFile],
        ['', 'organization', organization],
        ['', 'project', project],
        ['', 'service account', serviceAccount],
      ]),
      '',
      'Try:',
      `  curl -H "Authorization: Bearer $(cat ${keyFile})" ${baseUrl}/models`,
      `  OPENAI_BASE_URL=${baseUrl} OPENAI_API_KEY="$(cat ${keyFile})" keyturn serve`,
    ])
    await first
    await sandbox.close()
    return exitCodes.done
  } finally {
    ignore()
  }
}

function startError(error: unknown, port: number): KeyturnError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') {
    return new KeyturnError('address_in_use', `something listens on port ${port} already`, {
      fix: 'Choose another with --listen 127.0.0.1:0 (any free port), or end what is there.',
      cause: error,
    })
  }
  if (error instanceof KeyturnError) return error
  return new KeyturnError('internal', 'the sandbox could not start', {
    fix: 'Check --listen, and that the file of --state can be written.',
    cause: error,
  })
}
