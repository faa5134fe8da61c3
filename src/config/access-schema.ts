import { z } from 'zod'
import { jwtAlgorithms } from '../core/access.ts'
import { allGrants } from '../core/grants.ts'
import { duration, httpsUrl, path, text, wholeNumber } from './fields.ts'

/** What may stand under `access` in keyturn.yaml, and in the policy file that it names. */

const rulesMax = 1_000

const pattern = z
  .string({ error: 'expected the name of a credential, or a pattern such as team-*' })
  .regex(/^[a-z0-9*-]{1,63}$/, { error: 'expected the name of a credential, or a pattern such as team-*' })

const patterns = z
  .array(pattern, { error: 'expected a list of names or patterns of credentials, e.g. [openai, team-*]' })
  .min(1, { error: 'expected at least one name or pattern' })
  .max(rulesMax, { error: `expected at most ${rulesMax} names` })

const grant = z.strictObject({
  credentials: patterns
    .optional()
    .describe('Names, or patterns such as `team-*`. Needed for read, operate and audit.'),
  may: z
    .array(z.enum(allGrants, { error: `expected ${allGrants.join(', ')}` }), {
      error: 'expected a list of grants',
    })
    .min(1, { error: 'expected at least one grant' })
    .describe(
      'read: get the key. operate: verify, rotate, roll back, revoke. audit: read what happened. hook: begin a rotation because its store says so, and nothing else. metrics and dashboard: of the service.',
    ),
})

const grants = z
  .array(grant, { error: 'expected a list such as [{ credentials: [openai], may: [read] }]' })
  .max(rulesMax, { error: `expected at most ${rulesMax} entries` })
  .describe('What they may do: `{ credentials: [openai, team-*], may: [read] }`.')

const claimPattern = text('a value, or a pattern such as acme/*', '').max(256, {
  error: 'expected at most 256 characters',
})

const jwt = z.strictObject({
  name: z
    .string({ error: 'expected a short name, such as github' })
    .regex(/^[a-z0-9-]{1,32}$/, { error: 'expected a short name of a-z, 0-9 and -, such as github' })
    .describe('Callers are shown as NAME/SUBJECT.'),
  issuer: httpsUrl.describe('Exactly as in the claim `iss`.'),
  audience: z
    .union([text('an audience', ''), z.array(text('an audience', '')).min(1)], {
      error: 'expected an audience, or a list of them',
    })
    .describe('One of them must be in the claim `aud`.'),
  jwks: httpsUrl
    .optional()
    .describe("Where the issuer's public keys are. Default: its discovery document says."),
  jwksFile: path('A file with them, where the issuer cannot be reached.').optional(),
  algorithms: z
    .array(z.enum(jwtAlgorithms, { error: `expected ${jwtAlgorithms.join(', ')}` }), {
      error: 'expected a list of algorithms',
    })
    .min(1, { error: 'expected at least one algorithm' })
    .default(['RS256', 'ES256'])
    .describe('No other is taken.'),
  claims: z
    .record(
      z.string().min(1).max(128),
      z.union([claimPattern, z.array(claimPattern).min(1).max(100)], {
        error: 'expected a value, a pattern, or a list of them',
      }),
      { error: 'expected claims with values, e.g. { repository: acme/* }' },
    )
    .default({})
    .describe('Claims that must be there: values or patterns. `*` stops at . / and :, `**` does not.'),
  nameClaim: text('the name of a claim', 'The claim that tells callers apart.').default('sub'),
  lifetimeMax: duration(
    { default: '24h', min: '1m', max: '366d' },
    'A token that was made for longer is refused.',
  ),
  grants,
})

const namePattern = (what: string) => text(what, '').max(256, { error: 'expected at most 256 characters' })

const certificate = z
  .strictObject({
    uri: namePattern('a URI such as spiffe://acme/ns/prod/sa/*')
      .optional()
      .describe('A name of kind URI in the certificate, e.g. `spiffe://acme/ns/prod/sa/*`.'),
    dns: namePattern('a host name such as *.prod.acme.internal')
      .optional()
      .describe('A name of kind DNS in the certificate.'),
    cn: namePattern('a common name')
      .optional()
      .describe('The common name, of a certificate that has no other.'),
    grants,
  })
  .refine((one) => [one.uri, one.dns, one.cn].filter((each) => each !== undefined).length === 1, {
    error: 'expected one of uri, dns and cn',
  })

const persons = (what: string) => wholeNumber({ default: 1, min: 1, max: 2 }, what)

const approval = z.strictObject({
  credentials: patterns.default(['*']).describe('Names, or patterns such as `prod-*`.'),
  emergency: persons('Persons that an emergency rotation needs.'),
  revocation: persons('Persons that revoking a version needs.'),
})

const tokenRule = z.strictObject({
  name: text('the name of a token, or a pattern such as ci-*', 'The name of a token, or a pattern.'),
  grants,
})

function listOf<Item extends z.ZodType>(item: Item, description: string) {
  return z
    .array(item, { error: 'expected a list' })
    .max(rulesMax, { error: `expected at most ${rulesMax} entries` })
    .default([])
    .describe(description)
}

const rules = {
  tokens: listOf(tokenRule, 'What tokens of these names may, in place of what they were made with.'),
  jwt: listOf(jwt, 'Whose JSON web tokens are taken: workloads and people of these issuers.'),
  certificates: listOf(certificate, 'Whose client certificates are taken; needs `tls.clientCa`.'),
  socket: z
    .strictObject({
      grants: grants.describe(
        'What whoever can connect to the Unix socket may do without a token: `{ credentials: [openai, team-*], may: [read] }`. Default: nothing.',
      ),
    })
    .optional(),
  approvals: listOf(approval, 'What needs two persons.'),
}

export const accessSchema = z
  .strictObject({
    file: path('A file with further rules, read again when it changes.').optional(),
    ...rules,
  })
  .describe('Who is let in beside the holders of tokens, and what each may do.')

/** The file that `access.file` names. */
export const policyFileSchema = z.strictObject(rules)

export type PolicyFile = z.output<typeof policyFileSchema>

export const tlsSchema = z
  .strictObject({
    cert: path('HTTPS: the certificate chain, PEM. Read again when it changes.'),
    key: path('Its private key, PEM.'),
    clientCa: path('Who signs the certificates of clients, PEM.').optional(),
    clientCertificates: z
      .enum(['optional', 'required'], { error: 'expected optional or required' })
      .default('optional')
      .describe('optional: who has none can show a token. required: no connection without one.'),
    minVersion: z
      .enum(['TLSv1.2', 'TLSv1.3'], { error: 'expected TLSv1.2 or TLSv1.3' })
      .default('TLSv1.2')
      .describe('The oldest version that is spoken.'),
  })
  .describe('HTTPS. The files are read again when they change.')

export const socketFileSchema = z
  .strictObject({
    mode: z
      .string({ error: "expected '0600', '0660' or '0666'" })
      .regex(/^06[06][06]$/, { error: "expected '0600', '0660' or '0666'" })
      .default('0600')
      .describe(
        'Who may connect to the Unix socket: its user (0600), its group (0660), everybody on the machine (0666).',
      ),
    group: z
      .union([text('a group', ''), z.int().min(0)], { error: 'expected the name or number of a group' })
      .optional()
      .describe('The group of the socket, by name or number.'),
  })
  .describe('The Unix socket, where `listen` is unix:PATH.')
