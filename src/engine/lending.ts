import { handedOut } from '../core/credential.ts'
import { KeyturnError } from '../core/errors.ts'
import { askOfRotation } from '../core/operations.ts'
import { outageOf } from '../core/outage.ts'
import type { Secret } from '../core/secret.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import type { Book } from './book.ts'
import { assertFit } from './fit.ts'
import type { Keyring } from './keyring.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'

/**
 * The verified key of an internal credential, as it is now. `issuer_denied` where there is none, with what to do.
 * `itself`: the credential's own issuer asks, which has nobody else to speak for it.
 */
export type SecretOf = (name: CredentialName, asker?: 'itself') => Promise<Secret>

/** The one way by which the key of an internal credential leaves the engine: to the issuers that work with it. */
export function createLending(
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  book: Book,
  keyring: Keyring,
): SecretOf {
  return async (name, asker) => {
    const state = book.state(name)
    const record = handedOut(state)
    if (record === undefined) {
      const setup = asker === 'itself' ? setups.get(name) : undefined
      const found = setup === undefined ? undefined : await foundAnew(state, setup)
      if (found !== undefined) return found
      throw noKey(state)
    }
    const secret = await keyring.get(name, record.version)
    if (secret !== undefined) return secret
    throw new KeyturnError('issuer_denied', `The store no longer holds the verified admin key of ${name}.`, {
      fix: `See what became of it: keyturn status ${name}`,
      retryable: true,
    })
  }
}

/**
 * Where the ledger was lost, which keys of the store are Keyturn's own only the issuer can say, and it says so to none but an
 * admin key: the one that the store has speaks for itself then. Whether it is ever used is for its verification to say.
 */
async function foundAnew(state: CredentialState, setup: CredentialSetup): Promise<Secret | undefined> {
  if (state.versions.length > 0) return undefined
  const read = await setup.store.read(setup.ref)
  if (read === undefined) return undefined
  assertFit(read.secret, `The store of ${setup.name}`, setup)
  return read.secret
}

/** What will pass by itself is waited for; what needs a person is said at once. */
function noKey(state: CredentialState): KeyturnError {
  const { name, storeTrouble } = state
  const trouble = outageOf(state) ?? storeTrouble
  const message = `No key can be made or ended without an admin key, and ${name} has none that works.`
  if (trouble === undefined) {
    const fix = 'Wait for its first check.'
    return new KeyturnError('issuer_denied', message, { fix, retryable: true })
  }
  const isPassing = storeTrouble?.code === 'store_unreachable' || storeTrouble?.code === 'store_throttled'
  return new KeyturnError('issuer_denied', `${message} ${trouble.summary}`, {
    fix: trouble.fix,
    retryable: isPassing,
  })
}

/** Rotations that halted for want of an admin key go on by themselves as soon as there is one that works. */
export async function resumeWaiting(
  lender: CredentialState,
  context: {
    readonly setups: ReadonlyMap<CredentialName, CredentialSetup>
    readonly book: Book
    readonly deps: Pick<EngineDeps, 'log'>
    readonly wake: (name: CredentialName) => void
  },
): Promise<void> {
  const { setups, book, deps, wake } = context
  if (handedOut(lender) === undefined) return
  const borrowers = [...setups.values()].filter((one) => one.mintsWith === lender.name)
  for (const { name } of borrowers.filter((one) => isWaiting(book.state(one.name)))) {
    try {
      await book.change(name, (before, change) =>
        isWaiting(before) && before.rotation !== undefined
          ? askOfRotation(before, { id: before.rotation.id, act: 'resume', by: lender.name }, change)
          : undefined,
      )
      wake(name)
    } catch (thrown) {
      deps.log('warn', 'a rotation that waited for an admin key could not be taken up; trying again', {
        credential: name,
        error: thrown,
      })
    }
  }
}

function isWaiting({ rotation }: CredentialState): boolean {
  return rotation?.phase === 'halted' && rotation.halt?.reason === 'issuer_denied' && !rotation.paused
}
