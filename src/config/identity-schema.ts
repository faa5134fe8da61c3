import { z } from 'zod'
import { duration, environmentName, httpsUrl, path, text } from './fields.ts'

/**
 * `identity` of a credential: in place of a stored key, short-lived tokens are exchanged for what proves the identity of
 * this workload (RFC 8693). See docs/workload-identity.md.
 */

const resourceId = (expected: string, description: string) =>
  text(expected, description).regex(/^[A-Za-z0-9_-]{1,128}$/, { error: `expected ${expected}` })

/** The metadata services of the clouds speak plain HTTP on a link of the machine itself, and so do stand-ins for them. */
const metadataUrl = z
  .string({ error: 'expected a URL such as http://169.254.169.254' })
  .refine(isOrigin, { error: 'expected an http:// or https:// address without path, user or query' })
  .describe('Another address of the metadata service. Default: that of the cloud.')
  .optional()

function isOrigin(candidate: string): boolean {
  if (!URL.canParse(candidate)) return false
  const { protocol, username, password, pathname, search, hash } = new URL(candidate)
  const isPlain = username === '' && password === '' && pathname === '/' && search === '' && hash === ''
  return (protocol === 'http:' || protocol === 'https:') && isPlain
}

const azure = z.strictObject({
  resource: text(
    'a resource such as api://keyturn',
    'The audience that the provider at OpenAI expects.',
  ).default('https://management.azure.com/'),
  clientId: text('a client id', 'Of a user-assigned identity, where the machine has several.').optional(),
  objectId: text('an object id', 'The same, by its object id.').optional(),
  resourceId: text('an Azure resource id', 'The same, by its resource id.').optional(),
  endpoint: metadataUrl,
})

const google = z.strictObject({
  audience: text('an audience', 'The audience that the provider at OpenAI expects.').default(
    'https://api.openai.com/v1',
  ),
  endpoint: metadataUrl,
})

const sourceError =
  'expected { file: PATH }, { env: NAME }, { azure: {} } or { google: {} }; the token itself never belongs into this file'

const subjectToken = z.union(
  [
    z.strictObject({ file: path('Written by the platform; read at each exchange, since it rotates.') }),
    z.strictObject({ env: environmentName.describe('The name of the variable that holds the token.') }),
    z.strictObject({ azure: azure.describe('The managed identity of an Azure machine.') }),
    z.strictObject({ google: google.describe('The identity of a Google Cloud workload.') }),
  ],
  { error: sourceError },
)

export const identitySchema = z
  .strictObject({
    provider: resourceId(
      'the id of an identity provider at OpenAI',
      'The identity provider at OpenAI that trusts this workload’s tokens.',
    ),
    serviceAccount: resourceId(
      'a service account id such as svc_acct_abc',
      'The service account that the workload becomes.',
    ),
    clientId: text('a client id', 'Sent with the exchange where it is given.').optional(),
    subjectToken: subjectToken.describe(
      'Needed: what proves the identity of this workload, obtained anew for each exchange.',
    ),
    tokenType: z
      .enum(['jwt', 'id'], { error: 'expected jwt or id' })
      .optional()
      .describe(
        'Whether that is a JWT (jwt) or an OpenID Connect identity token (id). Default: id with google, else jwt.',
      ),
    tokenUrl: httpsUrl
      .default('https://auth.openai.com/oauth/token')
      .describe('The token exchange. HTTPS, or HTTP to this machine.'),
    baseUrl: httpsUrl
      .default('https://api.openai.com/v1')
      .describe('Where tokens are proven, and what apps get as base URL. HTTPS, or HTTP to this machine.'),
    refreshBuffer: duration(
      { default: '20m', min: '1s', max: '12h' },
      'How long before its expiry a token is replaced; at most half of its life.',
    ),
    timeout: duration(
      { default: '10s', min: '100ms', max: '60s' },
      'For obtaining the identity token, for the exchange and for a proof, each.',
    ),
  })
  .describe('In place of a store: OpenAI’s token exchange for the identity of this workload.')
