import { KeyturnError } from '../core/errors.ts'
import type { MintRequest } from '../core/ports.ts'
import type { Observation } from '../core/types.ts'
import type { AdminCall } from './openai-admin.ts'
import { isId, listAll, text } from './openai-listing.ts'
import type { AccountName } from './openai-options.ts'

/** The stable account; for a spare whichever of the two the key is not on that it stands behind. */
export async function accountFor(call: AdminCall, { spareFor }: MintRequest): Promise<string | Observation> {
  const { account, standby } = call.minting
  if (spareFor === undefined) return accountId(call, account)
  if (standby === undefined)
    throw new KeyturnError('issuer_refused', 'There is no second service account for a spare key.', {
      fix: 'Name one in the issuer: standbyServiceAccount: svc_acct_….',
    })
  const second = await accountId(call, standby)
  if (second !== spareFor.serviceAccount) return second
  return accountId(call, account)
}

/** The configured id, or the one account of the configured name. An observation where the list could not be read. */
export async function accountId(call: AdminCall, { id, name }: AccountName): Promise<string | Observation> {
  if (id !== undefined) return id
  const listed = await listAll(call.wire, { ...call, path: `${call.project}/service_accounts` })
  if (listed.kind === 'failed') return listed.observation
  const found = listed.entries.filter((entry) => entry['name'] === name)
  const only = text(found[0]?.['id'])
  if (found.length === 1 && isId(only)) return only
  const what = found.length === 0 ? 'There is no service account' : 'There is more than one service account'
  throw new KeyturnError('issuer_refused', `${what} ${name ?? ''} in ${call.minting.projectId}.`, {
    fix: "Create it in the project's settings, or configure the id of the one that is meant (svc_acct_…).",
  })
}
