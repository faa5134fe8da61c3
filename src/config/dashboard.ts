import { z } from 'zod'
import { httpsUrl, secretSource, text } from './fields.ts'
import type { DashboardConfig, SecretSource } from './types.ts'

const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/

/** `dashboard` of keyturn.yaml: how people sign in. See docs/dashboard.md. */
export const dashboardSchema = z
  .strictObject({
    sessionKey: secretSource(
      'At least 32 random bytes as text, the same at all replicas: what sessions are sealed with. Default: each process makes its own, and a restart ends all sessions.',
    ).optional(),
    oidc: z
      .strictObject({
        issuer: httpsUrl.describe('Exactly as in the claim `iss` of its ID tokens.'),
        clientId: text(
          'the id of a client',
          'As registered at the issuer; also the audience of the rule under access.jwt.',
        ),
        clientSecret: secretSource('Of that client.'),
        address: httpsUrl.describe(
          'Of the dashboard, as browsers have it: the issuer sends people back to /signin/callback there.',
        ),
        scopes: z
          .array(z.string().regex(scopePattern, { error: 'expected the name of a scope' }))
          .max(20)
          .default(['openid', 'profile'])
          .describe('What the issuer is asked for; `openid` always is.'),
      })
      .describe('Signing in at an OpenID provider. What people may is said by access.jwt.')
      .optional(),
  })
  .describe('How people sign in to the dashboard (dashboard.md).')
  .optional()

export function buildDashboard(
  written: z.output<typeof dashboardSchema>,
  resolve: (path: string) => string,
): DashboardConfig | undefined {
  if (written === undefined) return undefined
  const source = (one: SecretSource): SecretSource => ('file' in one ? { file: resolve(one.file) } : one)
  const { sessionKey, oidc } = written
  return {
    ...(sessionKey === undefined ? {} : { sessionKey: source(sessionKey) }),
    ...(oidc === undefined
      ? {}
      : {
          oidc: {
            ...oidc,
            clientSecret: source(oidc.clientSecret),
            scopes: [...new Set(['openid', ...oidc.scopes])],
          },
        }),
  }
}
