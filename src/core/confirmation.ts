import { KeyturnError } from './errors.ts'
import type { CredentialName } from './types.ts'

/** Deletes what apps use: only after whoever asks has typed the credential's name. */
export function assertConfirmed(name: CredentialName, confirm: string | undefined): void {
  if (confirm === name) return
  throw new KeyturnError(
    'confirmation_needed',
    `The key of ${name} will be revoked as soon as the new one is out, whoever still uses it: type its name to confirm.`,
    {
      fix: `See who holds it (GET /v1/credentials/${name}/blast-radius), then send confirm: "${name}" with it.`,
    },
  )
}

/** Deletes a key of which no other may be left: the same. */
export function assertLastConfirmed(name: CredentialName, confirm: string | undefined): void {
  if (confirm === name) return
  throw new KeyturnError(
    'confirmation_needed',
    `Revoking the last working key of ${name} stops its apps: type its name to confirm.`,
    { fix: `Send confirm: "${name}" with it.` },
  )
}
