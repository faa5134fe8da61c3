import { z } from 'zod'
import type { ConfigFile } from './schema.ts'
import type { AccessConfig, CredentialConfig, HooksConfig, Report } from './types.ts'

const flag = (description: string) =>
  z.boolean({ error: 'expected true or false' }).default(false).describe(description)

/** `hooks` of keyturn.yaml: which clouds may say that a secret is to be rotated. See docs/native-rotation.md. */
export const hooksSchema = z
  .strictObject({
    googlePubSub: flag('Whether Pub/Sub may say it of secrets of Google Secret Manager.'),
    azureEventGrid: flag('Whether Event Grid may say it of secrets of Azure Key Vault.'),
  })
  .prefault({})
  .describe(
    'Which clouds may begin a rotation because a secret is due; who sends needs the grant `hook` (native-rotation.md).',
  )

const stores = { googlePubSub: 'google-secret-manager', azureEventGrid: 'azure-key-vault' } as const

export function buildHooks(
  { hooks }: ConfigFile,
  context: {
    readonly credentials: readonly CredentialConfig[]
    readonly access: AccessConfig | undefined
    readonly report: Report
    readonly warn: Report
  },
): HooksConfig | undefined {
  const { credentials, access, report, warn } = context
  for (const name of ['googlePubSub', 'azureEventGrid'] as const) {
    if (!hooks[name]) continue
    if (!credentials.some(({ store }) => store.kind === stores[name]))
      report(['hooks', name], `no credential has its key in a ${stores[name]} store`, 'Leave it out.')
    // A policy file may have the rule.
    if (access?.file === undefined && !hasGrant(access))
      warn(
        ['hooks', name],
        'nobody has the grant hook, so whatever is sent is refused',
        'Add a rule under access.jwt for whoever sends: docs/native-rotation.md has them.',
      )
  }
  return hooks.googlePubSub || hooks.azureEventGrid ? hooks : undefined
}

function hasGrant(access: AccessConfig | undefined): boolean {
  const { jwt = [], certificates = [] } = access?.rules ?? {}
  return [...jwt, ...certificates].some(({ grants }) => grants.some(({ may }) => may.includes('hook')))
}
