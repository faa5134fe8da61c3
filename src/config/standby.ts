import { hasOneAccount, isWritable } from './drivers.ts'
import type { IssuerConfig, Report, StoreConfig } from './types.ts'

/** A spare needs somewhere to be made, another account than the current key's, and somewhere to be kept. */
export function checkStandby({
  issuer,
  store,
  at,
  report,
}: {
  readonly issuer: IssuerConfig
  readonly store: StoreConfig
  readonly at: readonly string[]
  readonly report: Report
}): void {
  const path = [...at, 'policy', 'standby']
  if (issuer.kind !== 'openai') {
    const fix = 'Name an issuer of kind openai, or leave standby out.'
    return report(path, 'a spare key can only be made by an issuer that mints', fix)
  }
  if (!isWritable(store)) {
    const fix = 'Keep this credential in a store that can be written, or leave standby out.'
    return report(path, `a spare key cannot be kept in the ${store.kind} store, which is only read`, fix)
  }
  if (issuer.mode === 'new_service_account') return
  if (issuer.standbyServiceAccountId === undefined && issuer.standbyServiceAccountName === undefined) {
    const fix = 'Make a second service account in the project and name it: standbyServiceAccount: svc_acct_….'
    return report([...at, 'issuer'], "standby: true needs an issuer with a 'standbyServiceAccount'", fix)
  }
  if (!hasOneAccount(issuer)) return
  const fix =
    'Name another one as standbyServiceAccount: a spare has to outlive the account of the current key.'
  report([...at, 'issuer'], 'the service account for spares is the one of all other keys', fix)
}
