import { inspectKeyShape } from '../../core/key-inspection.ts'
import type { Secret } from '../../core/secret.ts'

/** What people put where a key should be, and what is none, though no placeholder either. */
export type StandIn =
  /** To a secret in a manager of secrets, which something should have put the key in the place of. */
  | 'reference'
  | 'organization_id'
  | 'project_id'
  /** The key as Kubernetes and CI systems keep it. */
  | 'base64'

const patterns: readonly { readonly kind: StandIn; readonly pattern: RegExp }[] = [
  {
    kind: 'reference',
    pattern: /^(?:[a-z][a-z0-9+.-]{1,30}:\/\/|arn:aws[a-z-]{0,20}:|projects\/[^/]{1,64}\/secrets\/)/i,
  },
  // The reference syntax of Azure App Service and of Vault's agents.
  { kind: 'reference', pattern: /^(?:@Microsoft\.KeyVault\(|vault:|ref\+)/i },
  { kind: 'organization_id', pattern: /^org-[A-Za-z0-9]{8,64}$/ },
  { kind: 'project_id', pattern: /^proj_[A-Za-z0-9]{8,64}$/ },
]

/** Undefined: none of these. No character of it is in the answer. */
export function standInOf(secret: Secret): StandIn | undefined {
  const text = secret.reveal().trim()
  return (
    patterns.find(({ pattern }) => pattern.test(text))?.kind ?? (isEncodedKey(text) ? 'base64' : undefined)
  )
}

function isEncodedKey(text: string): boolean {
  if (!/^c2st[A-Za-z0-9+/\s]{20,600}={0,2}$/.test(text)) return false
  const decoded = Buffer.from(text, 'base64').toString('latin1').trim()
  return /^(?:project|service_account|admin|legacy_user)$/.test(inspectKeyShape(decoded).kind)
}
