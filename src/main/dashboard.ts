import type { DashboardConfig, SecretSource } from '../config/types.ts'
import { KeyturnError } from '../core/errors.ts'
import type { OidcSettings } from '../server/dashboard/oidc.ts'
import { unreadable } from '../server/pem.ts'
import type { Environment } from './compose.ts'

const sessionKeyCharsMin = 32

/** What the dashboard needs of its configuration. `config_invalid` where the session key is missing or too short. */
export async function openDashboard(
  config: DashboardConfig | undefined,
  context: { readonly env: Environment; readonly readText: (path: string) => Promise<string> },
): Promise<{ readonly sessionSecret?: Uint8Array; readonly oidc?: OidcSettings }> {
  if (config === undefined) return {}
  const { sessionKey, oidc } = config
  const sessionSecret = sessionKey === undefined ? undefined : await readSource(sessionKey, context)
  if (sessionSecret !== undefined && sessionSecret.length < sessionKeyCharsMin)
    throw new KeyturnError(
      'config_invalid',
      `dashboard.sessionKey is shorter than ${sessionKeyCharsMin} characters.`,
      { fix: 'Make one with: openssl rand -base64 48' },
    )
  return {
    ...(sessionSecret === undefined ? {} : { sessionSecret: Buffer.from(sessionSecret) }),
    // Read at each use: it can be changed without a restart.
    ...(oidc === undefined
      ? {}
      : { oidc: { ...oidc, clientSecret: () => readSource(oidc.clientSecret, context) } }),
  }
}

async function readSource(
  source: SecretSource,
  { env, readText }: { readonly env: Environment; readonly readText: (path: string) => Promise<string> },
): Promise<string> {
  const inFile = (path: string): Promise<string> =>
    readText(path).catch((thrown: unknown) => {
      if (thrown instanceof KeyturnError) throw thrown
      throw unreadable({ setting: 'dashboard', path }, thrown)
    })
  const text = ('env' in source ? env[source.env] : await inFile(source.file))?.trim() ?? ''
  if (text !== '') return text
  const where = 'env' in source ? `the variable ${source.env}` : source.file
  throw new KeyturnError('config_invalid', `A secret of the dashboard is not in ${where}.`, {
    fix: 'Put it there, or correct sessionKey or clientSecret under dashboard in keyturn.yaml.',
  })
}
