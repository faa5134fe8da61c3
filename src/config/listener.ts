import type { AccessPolicy } from '../core/access.ts'
import { buildPolicyRules, readPolicyFile } from './access.ts'
import type { BuildContext } from './build.ts'
import { present } from './present.ts'
import type { ConfigFile } from './schema.ts'
import type { AccessConfig, Config, ConfigProblem, Report } from './types.ts'

interface ListenerInput {
  readonly context: BuildContext
  /** Every credential, internal ones too. */
  readonly names: readonly string[]
  readonly report: Report
  readonly warn: Report
}

/** TLS, the socket file and who is let in. */
export function buildListener(
  file: ConfigFile,
  input: ListenerInput,
): Pick<Config, 'tls' | 'socket' | 'access'> {
  const { context, report } = input
  const { resolve, listen } = context
  const { tls, socket } = file
  if (tls !== undefined && listen.kind === 'unix')
    report(['tls'], 'a Unix socket speaks no TLS', 'Leave tls out, or listen on HOST:PORT.')
  if (tls?.clientCertificates === 'required' && tls.clientCa === undefined)
    report(['tls'], "'clientCa' is missing: nobody could show a certificate", 'Name who signs them.')
  const access = file.access === undefined ? undefined : buildAccess(file.access, file, input)
  return present({
    tls:
      tls === undefined
        ? undefined
        : {
            cert: resolve(tls.cert),
            key: resolve(tls.key),
            ...(tls.clientCa === undefined ? {} : { clientCa: resolve(tls.clientCa) }),
            clientCertificates: tls.clientCertificates,
            minVersion: tls.minVersion,
          },
    socket:
      socket === undefined
        ? undefined
        : {
            mode: Number.parseInt(socket.mode, 8),
            ...(socket.group === undefined ? {} : { group: socket.group }),
          },
    access,
  })
}

function buildAccess(
  access: NonNullable<ConfigFile['access']>,
  file: ConfigFile,
  { context, names, report, warn }: ListenerInput,
): AccessConfig {
  const { resolve, sources } = context
  const rules = buildPolicyRules(access, ['access'], { names, resolve, report, warn })
  const warnOfUnused = (used: AccessPolicy, at: Report): void => {
    if (used.certificates.length > 0 && file.tls?.clientCa === undefined)
      at(
        ['certificates'],
        'no rule for certificates is ever reached: nobody is asked for one',
        'Name who signs them in tls.clientCa.',
      )
    if (used.socket.length > 0 && context.listen.kind !== 'unix')
      at(
        ['socket'],
        'nobody ever has these grants: Keyturn does not listen on a Unix socket',
        'Set listen to unix:PATH, or leave socket out.',
      )
  }
  warnOfUnused(rules, (path, message, fix) => warn(['access', ...path], message, fix))
  if (access.file === undefined) return { rules }
  const path = resolve(access.file)
  const at = ['access', 'file']
  const text = readText(path, sources.readFile)
  if (text === undefined) {
    report(at, `there is no policy file ${path} that can be read`, 'Write it, or correct the path.')
    return { rules, file: path }
  }
  const check = readPolicyFile(text, { names, resolve })
  const tell = (to: Report, { line = 1, column = 1, path: key, message, fix }: ConfigProblem): void =>
    to(at, `${path}:${line}:${column}: ${key === '' ? '' : `${key}: `}${message}`, fix)
  if (check.kind === 'invalid') for (const problem of check.problems) tell(report, problem)
  else {
    for (const warning of check.warnings) tell(warn, warning)
    warnOfUnused(check.policy, ([key], message, fix) => warn(at, `${path}: ${key}: ${message}`, fix))
  }
  return { rules, file: path }
}

function readText(path: string, readFile: (path: string) => string | undefined): string | undefined {
  try {
    return readFile(path)
  } catch {
    // It is there and cannot be read, which is as bad.
    return undefined
  }
}
