import { join, resolve } from 'node:path'
import { isLoopback, parseListen } from '../../config/listen.ts'
import { errnoOf } from '../../core/errno.ts'
import { KeyturnError } from '../../core/errors.ts'
import type { Sandbox } from '../../sandbox/index.ts'
import { type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { faultOf } from '../fault.ts'
import { shellQuoted } from '../text.ts'
import { signals } from '../until-signal.ts'

const defaultAddress = '127.0.0.1:7421'

export async function run(context: Context): Promise<ExitCode> {
  const { io, out, options } = context
  const listen = parseListen(options.text('listen') ?? defaultAddress, String)
  if (listen?.kind !== 'tcp' || !isLoopback(listen.host)) {
    throw usage(
      '--listen takes an address of this machine',
      `As in --listen ${defaultAddress}: a loopback address and a port; 0 takes any that is free.`,
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
    try {
      await greet(context, sandbox)
      await first
    } finally {
      // Also where its keys could not be written: an open server would keep the command from ending.
      await sandbox.close()
    }
    return exitCodes.done
  } finally {
    ignore()
  }
}

async function greet({ io, out, target }: Context, sandbox: Sandbox): Promise<void> {
  const { home } = await target()
  const adminKeyFile = join(home, 'sandbox.admin-key')
  const keyFile = join(home, 'sandbox.key')
  io.writePrivateFile(adminKeyFile, `${sandbox.adminKey()}\n`)
  io.writePrivateFile(keyFile, `${sandbox.createServiceAccountKey().value}\n`)
  const { baseUrl, organization, project, serviceAccount } = sandbox
  const quoted = shellQuoted(keyFile)
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
    `  curl -H "Authorization: Bearer $(cat ${quoted})" ${baseUrl}/models`,
    `  OPENAI_BASE_URL=${baseUrl} OPENAI_API_KEY="$(cat ${quoted})" keyturn serve`,
  ])
}

function startError(error: unknown, port: number): KeyturnError {
  if (errnoOf(error) === 'EADDRINUSE') {
    return new KeyturnError('address_in_use', `something listens on port ${port} already`, {
      fix: 'Choose another with --listen 127.0.0.1:0 (any free port), or end what is there.',
      cause: error,
    })
  }
  return faultOf(error, 'the sandbox could not start')
}
