import type { KeyPath } from './document.ts'
import { durationMs } from './duration.ts'
import { buildPolicy } from './policy.ts'
import { present } from './present.ts'
import { valueAt } from './problems.ts'
import type { CredentialFile } from './schema.ts'
import type { FederatedConfig, Report, SubjectTokenConfig } from './types.ts'

type IdentityFile = NonNullable<CredentialFile['identity']>

/** What goes with a stored key only; beside `identity` it would be ignored, and somebody would rely on it. */
const foreignKeys: Readonly<Record<string, string>> = {
  store: 'a token is kept in no store',
  ref: 'a token has no name in a store',
  issuer: 'tokens come from the exchange, and are proven at identity.baseUrl',
  mirrors: 'a token is copied nowhere',
  consumers: 'a token cannot be kept longer than it lives',
  schedule: 'tokens are refreshed ahead of their expiry',
}

/** The part of the policy that says something about tokens. */
const policyKeys: ReadonlySet<string> = new Set([
  'activationGrace',
  'retryBase',
  'retryMax',
  'verifyEvery',
  'verifyCloselyEvery',
  'verifyCloselyFor',
  'rejectionGap',
  'staleAfter',
])

export function buildFederated(
  input: { readonly name: string; readonly credential: CredentialFile; readonly identity: IdentityFile },
  context: {
    /** The file as it is written, to tell what was stated from what is a default. */
    readonly written: unknown
    readonly resolve: (path: string) => string
    readonly report: Report
  },
): FederatedConfig {
  const { name, credential, identity } = input
  const at = ['credentials', name]
  reportForeign(at, context.written, context.report)
  const { organization, project, scopes, models } = credential.expected
  const baseUrl = identity.baseUrl
  return {
    name,
    identity: {
      provider: identity.provider,
      serviceAccount: identity.serviceAccount,
      ...present({ clientId: identity.clientId, tokenType: identity.tokenType }),
      subjectToken: sourceOf(identity.subjectToken, context.resolve),
      tokenUrl: identity.tokenUrl,
      timeoutMs: durationMs(identity.timeout),
    },
    refreshBufferMs: durationMs(identity.refreshBuffer),
    baseUrl,
    expected: { ...present({ organization, project }), scopes, models },
    policy: buildPolicy(credential.policy, { kind: 'manual' }),
  }
}

function reportForeign(at: KeyPath, written: unknown, report: Report): void {
  for (const [key, why] of Object.entries(foreignKeys)) {
    if (valueAt(written, [...at, key]) === undefined) continue
    report([...at, key], `'${key}' does not go with identity: ${why}`, `Leave ${key} out, or identity.`)
  }
  const policy = valueAt(written, [...at, 'policy'])
  if (typeof policy !== 'object' || policy === null) return
  for (const key of Object.keys(policy)) {
    if (policyKeys.has(key)) continue
    const fix = `Leave it out. With identity there are: ${[...policyKeys].join(', ')}.`
    report([...at, 'policy', key], `'${key}' is about keys that are minted, stored and revoked`, fix)
  }
}

function sourceOf(
  source: IdentityFile['subjectToken'],
  resolve: (path: string) => string,
): SubjectTokenConfig {
  if ('file' in source) return { kind: 'file', path: resolve(source.file) }
  if ('env' in source) return { kind: 'env', variable: source.env }
  if ('azure' in source) return { kind: 'azure', ...present(source.azure) }
  return { kind: 'google', ...present(source.google) }
}
