import type { Audit, AuditEntry, Issuer } from '../core/ports.ts'

/**
 * An issuer whose acts are rows: one before anything is sent, durable, so that no key is made or ended that the journal does
 * not know of; and one of what came of it. Where the first cannot be written nothing is sent, and the walk tries again.
 */
export function auditedIssuer(issuer: Issuer, audit: Audit): Issuer {
  const mint = issuer.mint?.bind(issuer)
  const revoke = issuer.revoke?.bind(issuer)
  const setExpiry = issuer.setExpiry?.bind(issuer)
  const audited = async <Outcome extends { readonly kind: string }>(
    entry: Pick<AuditEntry, 'action' | 'reason'>,
    act: () => Promise<Outcome>,
  ): Promise<Outcome> => {
    const row = { kind: 'act' as const, caller: engine, ...entry }
    await audit.record({ ...row, outcome: 'asked' })
    const outcome = await act()
    // It was done, and that it was about to be is written down: the walk goes on whatever becomes of this row.
    audit.record({ ...row, outcome: outcome.kind })?.catch(() => undefined)
    return outcome
  }
  return {
    ...issuer,
    ...(mint === undefined
      ? {}
      : {
          async mint(request) {
            let isSent = false
            const send = () => {
              isSent = true
              return mint(request)
            }
            try {
              return await audited({ action: 'mint', reason: request.marker }, send)
            } catch (thrown) {
              // A rotation has few attempts at making a key, and this was none.
              if (isSent) throw thrown
              return { kind: 'unsent' }
            }
          },
        }),
    ...(revoke === undefined
      ? {}
      : {
          revoke: (keyId) => audited({ action: 'revoke', reason: keyId }, () => revoke(keyId)),
        }),
    ...(setExpiry === undefined
      ? {}
      : {
          setExpiry: (keyId, seconds) =>
            audited({ action: 'setExpiry', reason: `${keyId} ${seconds} s` }, () =>
              setExpiry(keyId, seconds),
            ),
        }),
  }
}

const engine = { id: '', name: 'engine', kind: 'engine' as const }
